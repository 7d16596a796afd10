// What was typed and what was made stay over a reload, until the page is closed.

import { useEffect, useState } from "./vendor/htm-preact.js";

export function kept(name, first) {
  try {
    return { ...first, ...JSON.parse(sessionStorage.getItem(name)) };
  } catch {
    return first;
  }
}

export function useKept(name, first) {
  const [value, setValue] = useState(() => kept(name, first));
  useEffect(() => sessionStorage.setItem(name, JSON.stringify(value)), [value]);
  return [value, setValue];
}
