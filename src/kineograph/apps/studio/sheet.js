// A sheet of clips: a row for each, a column for each frame.

import { useEffect, useState } from "./vendor/htm-preact.js";

// => for each clip its frames, or null while they are read.
export function useRows(told) {
  const [rows, setRows] = useState(null);
  useEffect(() => {
    let wanted = true;
    let all = [];
    setRows(null);
    if (!told || !told.sheet) return undefined;
    const read = async () => {
      const image = new Image();
      image.src = told.sheet;
      await image.decode();
      const { width, height, num_frames: frames } = told;
      const cut = (row) => (_, n) => createImageBitmap(image, n * width, row * height, width, height);
      const count = Math.round(image.height / height);
      const found = Array.from({ length: count }, (_, row) => Promise.all(Array.from({ length: frames }, cut(row))));
      all = (await Promise.all(found)).flat();
      const one = (row) => all.slice(row * frames, (row + 1) * frames);
      if (wanted) setRows(Array.from({ length: count }, (_, row) => one(row)));
      else all.forEach((each) => each.close());
    };
    read().catch(() => wanted && setRows([])); // a picture that is none: the captions stay
    return () => {
      wanted = false;
      all.forEach((each) => each.close());
    };
  }, [told]);
  return rows;
}
