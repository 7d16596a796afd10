"""Files <=> frames: videos through PyAV; animated GIF, WebP and PNG through Pillow.

Whatever is wrong with a file ends as a RequestError with a remedy. A file of which a part is
missing is refused as a whole: who is silently shown half a video judges something else.
"""

from __future__ import annotations

import contextlib
import io
import json
import re
import struct
import tempfile
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO, Literal, NoReturn
from xml.etree import ElementTree
from xml.sax.saxutils import escape

import av
import numpy as np
from av.stream import Disposition
from av.video.reformatter import ColorRange, Colorspace, Interpolation
from PIL import Image

from kineograph.core.conventions import DEFAULT_FPS
from kineograph.core.errors import RequestError
from kineograph.core.files import TEMPORARY_PREFIX, check_free, publish, translate_os_errors
from kineograph.data.clip import Clip

Tags = Mapping[str, str]
"""What is told of a clip beside its pixels: prompt, seed, model, version."""

MAX_SIDE = 8192
"""Pixels; a wider or higher picture is refused, read or written."""
MAX_BYTES = 2 * 1024**3
"""What the frames of one video may take when decoded: 25 s of 1280×720 at 30 fps."""

# What av.open may take a file for. Left out are playlists, which make it open other files and
# addresses, and text, which it would draw as a terminal.
_CONTAINERS = "asf,avi,dv,flv,h264,hevc,ivf,matroska,mov,mp3,mpeg,mpegts,mxf,nut,obu,ogg,wav,webm"
_PICTURES = {b"GIF8": "GIF", b"RIFF": "WEBP", b"\x89PNG": "PNG"}
_DAMAGE = (  # what PyAV and Pillow raise for broken files
    *(av.FFmpegError, OSError, SyntaxError, ValueError, EOFError, OverflowError),
    *(IndexError, struct.error, zlib.error, Image.DecompressionBombError),
)
# By default swscale rounds white to 253 and saturated colours off by up to 4 levels.
_EXACT = Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT
_CODECS: dict[str, tuple[str, dict[str, str], dict[str, str]]] = {
    "mp4": ("libx264", {"crf": "14"}, {"movflags": "+faststart+use_metadata_tags"}),
    "webm": ("libvpx-vp9", {"crf": "10", "b": "0", "cpu-used": "4", "row-mt": "1"}, {}),
}
_XMP = (  # the packet of metadata in a WebP, with a name space of our own
    '<x:xmpmeta xmlns:x="adobe:ns:meta/">'
    '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description rdf:about="" xmlns:k="urn:kineograph">{}</rdf:Description>'
    "</rdf:RDF></x:xmpmeta>"
)


@dataclass(frozen=True)
class Video:
    """A decoded file: ``frames`` (T, H, W, 3) uint8 RGB, T >= 1; metadata keys in lower case."""

    frames: np.ndarray
    fps: float
    metadata: dict[str, str]


def read_video(path: str | Path, *, max_frames: int = 100_000) -> Video:
    """Decode a whole file: any common video, or an animated GIF, WebP or PNG.

    Turned upright as its rotation says; transparency lies on white; a picture that stays for
    several of a GIF's shortest durations is repeated. Raises RequestError where the file is
    missing, empty, damaged, cut short, without pictures, longer than ``max_frames``, wider or
    higher than MAX_SIDE, or more than MAX_BYTES when decoded.
    """
    path = Path(path)
    with translate_os_errors(path):
        if path.exists() and not path.is_file():  # opening a pipe would wait for ever
            raise RequestError(f"{path} is a folder or device, no video.", "Name a video file.")
        with path.open("rb") as file:
            return _Reading(path, max_frames, file).video()


@dataclass
class _Reading:
    """A file being decoded, and what is asked of it."""

    path: Path
    max_frames: int
    file: BinaryIO

    def video(self) -> Video:
        start = self.file.read(16)
        self.file.seek(0)
        if not start:
            raise RequestError(f"{self.path} is empty.", "Make or copy it again.")
        kind = next((kind for magic, kind in _PICTURES.items() if start.startswith(magic)), "")
        try:
            if kind and (kind != "WEBP" or start[8:12] == b"WEBP"):  # RIFF may be AVI too
                return self.picture(kind)
            return self.stream()
        except _DAMAGE as error:
            if isinstance(error, OSError) and error.errno and not isinstance(error, av.FFmpegError):
                raise  # the disk's fault, not the file's
            why = error.strerror if isinstance(error, av.FFmpegError) else str(error)
            if isinstance(error, av.error.ArgumentError):  # _CONTAINERS does not list it
                why = "not a kind of file that is read here"
            self.damaged(re.sub(r" <.*>", "", why or type(error).__name__), error)

    def stream(self) -> Video:
        only = {"format_whitelist": _CONTAINERS}
        with av.open(self.file, "r", None, only, metadata_errors="replace") as container:
            stream = container.streams.best("video")
            cover = stream is not None and stream.disposition & Disposition.attached_pic
            if not isinstance(stream, av.VideoStream) or cover:
                raise RequestError(f"{self.path} has no video stream.", "Name one that has.")
            if stream.codec_context is None:
                self.damaged("nothing here decodes its codec")
            self.check_size(stream.width, stream.height, stream.frames)
            stream.codec_context.options = {"err_detect": "explode"}  # rather than patch it up
            frames: list[np.ndarray] = []
            fps = float(stream.average_rate or stream.guessed_rate or 0) or DEFAULT_FPS
            end = 0.0
            for frame in container.decode(stream):
                self.check_size(frame.width, frame.height, len(frames) + 1)
                frames.append(_upright(frame, _rgb(frame)))
                if frame.is_corrupt or frames[-1].shape != frames[0].shape:
                    self.damaged(f"frame {len(frames) - 1} is broken or of another size")
                if frame.pts is not None and frame.time_base is not None:
                    lasts = float(frame.duration * frame.time_base) or 1 / fps
                    end = max(end, float(frame.pts * frame.time_base) + lasts)
            if not frames:
                self.damaged("it has no frames")
            self.check_end(stream, end + 0.6 / fps)
            tags = {key.lower(): value for key, value in container.metadata.items()}
        return Video(_stack(frames, [1] * len(frames)), fps, tags)

    def picture(self, kind: str) -> Video:
        frames, durations = [], []
        with Image.open(self.file, formats=[kind]) as image:
            count = getattr(image, "n_frames", 1)
            self.check_size(*image.size, count)
            # an animated PNG may begin with a picture for those who cannot play it
            for index in range(1 if image.info.get("default_image") else 0, count):
                image.seek(index)
                frames.append(_on_white(np.asarray(image.convert("RGBA"))))
                duration = float(image.info.get("duration") or 0)
                durations.append(duration if duration > 10 else 100.0)  # as browsers do
            tags = _picture_tags(image.info)
        self.file.seek(-13, io.SEEK_END)  # Pillow takes a cut between two frames for the end
        if kind == "GIF" and not self.file.read().rstrip(b"\0").endswith(b";"):
            self.damaged("it is cut short")
        times, fps = _steady(durations, tags)
        self.check_size(frames[0].shape[1], frames[0].shape[0], sum(times))
        return Video(_stack(frames, times), fps, tags)

    def check_size(self, width: int, height: int, num_frames: int) -> None:
        """Refuse what would fill the memory, before it does."""
        if max(width, height) > MAX_SIDE:
            raise RequestError(
                f"{self.path} is {width}×{height} pixels.", f"Scale it to {MAX_SIDE} a side first."
            )
        if num_frames > self.max_frames or num_frames * width * height * 3 > MAX_BYTES:
            raise RequestError(
                f"{self.path} is too long: {num_frames} or more frames of {width}×{height}.",
                "Cut it into pieces or scale it down first.",
            )

    def check_end(self, stream: av.VideoStream, end: float) -> None:
        """Decoders take a cut for the end: ask the index (MP4) and the duration (Matroska)."""
        needed = max((entry.pos + entry.size for entry in stream.index_entries), default=0)
        tag = re.fullmatch(r"(\d+):(\d+):([\d.]+)", stream.metadata.get("DURATION", ""))
        h, m, s = map(float, tag.groups() if tag else (0, 0, 0))
        if needed > self.file.seek(0, io.SEEK_END) or 3600 * h + 60 * m + s > end:
            self.damaged("it is cut short")

    def damaged(self, why: str, error: BaseException | None = None) -> NoReturn:
        raise RequestError(
            f"{self.path} is damaged or no video ({why}).", "Copy it again or convert it to MP4."
        ) from error


def _rgb(frame: av.VideoFrame) -> np.ndarray:
    """Any pixel format, range and matrix => (H, W, 3) uint8."""
    how = Interpolation.BILINEAR | _EXACT
    if any(component.is_alpha for component in frame.format.components):
        return _on_white(frame.to_ndarray(format="rgba", interpolation=how))
    return frame.to_ndarray(format="rgb24", interpolation=how)


def _on_white(rgba: np.ndarray) -> np.ndarray:
    alpha = rgba[..., 3:].astype(np.uint16)
    if alpha.min() == 255:
        return np.ascontiguousarray(rgba[..., :3])
    return ((rgba[..., :3] * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)


def _upright(frame: av.VideoFrame, picture: np.ndarray) -> np.ndarray:
    """Turn and mirror as the display matrix says: (x, y) => (a·x + c·y, b·x + d·y)."""
    sides: Any = frame.side_data  # its stub knows motion vectors only
    matrix = sides.get("DISPLAYMATRIX")
    if matrix is None:
        return picture
    a, b, _, c, d = np.frombuffer(bytes(matrix), "=i4")[:5]
    if abs(int(b)) > abs(int(a)):
        picture, a, d = picture.swapaxes(0, 1), c, b
    return picture[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1]


def _stack(frames: list[np.ndarray], times: Sequence[int]) -> np.ndarray:
    """Frames, each so many times => (T, H, W, 3); frees them on the way."""
    out = np.empty((sum(times), *frames[0].shape), np.uint8)
    end = len(out)
    for count in reversed(times):
        out[end - count : end] = frames.pop()
        end -= count
    return out


def _steady(durations: Sequence[float], tags: Tags) -> tuple[list[int], float]:
    """Milliseconds of each frame => how often to show it, and frames a second.

    Writers merge frames that are alike, so a longer one stands for several; GIF rounds to 10 ms.
    What `animation_bytes` wrote beside them undoes both.
    """
    known = {k: v for k, v in tags.items() if re.fullmatch(r"\d{1,5}(\.\d{1,9})?", v)}
    fps, num_frames = float(known.get("fps", 0)), float(known.get("num_frames", 0))
    unit = 1000 / fps if 0.1 <= fps <= 1000 else min(durations)
    if len(durations) == 1 and fps and num_frames:  # a WebP of like frames becomes a still
        durations = [num_frames * unit]
    times = [max(1, round(duration / unit)) for duration in durations]
    exact = fps and abs(sum(times) * unit - sum(durations)) <= 10
    return times, fps if exact else 1000 * sum(times) / sum(durations)


def video_bytes(
    clip: Clip, container: Literal["mp4", "webm"], *, scale: int = 1, metadata: Tags | None = None
) -> bytes:
    """Clip => MP4 (H.264) or WebM (VP9), each pixel a square of ``scale`` pixels.

    BT.709, 4:2:0, sides made even by repeating the last row or column. MP4 begins with its index,
    so that it plays while it loads. ``metadata`` becomes the container's tags. Raises RequestError
    for an impossible fps or scale or no frames, MachineError where the temporary disk is full.
    """
    codec, options, muxer = _CODECS[container]
    height, width = _check_writable(clip, scale)
    rate = Fraction(clip.fps).limit_denominator(1001)
    # to move the index to the front FFmpeg opens the file a second time, so it must have a name
    with translate_os_errors("the temporary folder"), tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"clip.{container}")
        with av.open(str(path), "w", format=container, options=muxer) as out:
            out.metadata.update(file_tags(clip, metadata))
            stream: Any = out.add_stream(codec, rate=rate, options=options)
            stream.width, stream.height = width + width % 2, height + height % 2
            stream.pix_fmt = "yuv420p"
            context = stream.codec_context
            context.colorspace = context.color_primaries = context.color_trc = 1  # BT.709
            context.color_range = ColorRange.MPEG
            for index, frame in enumerate(clip.frames):
                out.mux(stream.encode(_yuv(enlarged(frame, scale), index, rate)))
            out.mux(stream.encode())
        return path.read_bytes()


def _yuv(picture: np.ndarray, index: int, rate: Fraction) -> av.VideoFrame:
    height, width = picture.shape[:2]
    even = np.pad(picture, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(even)).reformat(
        format="yuv420p",
        src_color_range=ColorRange.JPEG,
        dst_color_range=ColorRange.MPEG,
        dst_colorspace=Colorspace.ITU709,
        interpolation=Interpolation.AREA | _EXACT,
    )
    frame.pts, frame.time_base, frame.duration = index, 1 / rate, 1
    return frame


def _check_writable(clip: Clip, scale: int) -> tuple[int, int]:
    """Height and width as written; RequestError for what no format can hold."""
    height, width = clip.frames.shape[1] * scale, clip.frames.shape[2] * scale
    if not len(clip.frames) or not 0.1 <= clip.fps <= 1000:
        raise RequestError(
            f"{len(clip.frames)} frames at {clip.fps:g} frames/s cannot be written.",
            "A video needs at least 1 frame and 0.1 to 1000 frames/s.",
        )
    if scale < 1 or not 1 <= min(height, width) <= max(height, width) <= MAX_SIDE:
        raise RequestError(
            f"At scale {scale} the video would be {width}×{height} pixels.",
            f"Choose a whole scale that keeps both sides between 1 and {MAX_SIDE}.",
        )
    return height, width


def enlarged(pixels: np.ndarray, scale: int) -> np.ndarray:
    """(H, W, ...) => (H·scale, W·scale, ...), each pixel a square."""
    return pixels.repeat(scale, axis=0).repeat(scale, axis=1)


def animation_bytes(
    clip: Clip, kind: Literal["gif", "webp"], *, scale: int = 1, metadata: Tags | None = None
) -> bytes:
    """Clip => animated picture that loops for ever.

    WebP is lossless. GIF is exact up to 256 colours; beyond that the commonest stay exact and the
    rest moves to the nearest of a palette, without dither. ``metadata`` goes into XMP (WebP) or a
    comment (GIF). Raises RequestError as `video_bytes` does, and above 50 (GIF) or 90 (WebP) fps.
    """
    _check_writable(clip, scale)
    tick, fastest = {"gif": (10, 50), "webp": (1, 90)}[kind]  # browsers slow down faster ones
    if clip.fps > fastest:
        raise RequestError(
            f"A {kind} cannot play {clip.fps:g} frames/s, {fastest} at most.", "Write MP4."
        )
    ends = np.rint(np.arange(len(clip.frames) + 1) * 1000 / (clip.fps * tick)).astype(int) * tick
    tags = file_tags(clip, metadata)
    tags |= {"fps": f"{clip.fps:.9g}", "num_frames": str(len(clip.frames))}
    options: dict[str, Any]
    if kind == "webp":
        images = [Image.fromarray(enlarged(frame, scale)) for frame in clip.frames]
        fields = "".join(f"<k:{key}>{escape(value)}</k:{key}>" for key, value in tags.items())
        options = {"lossless": True, "method": 4, "xmp": _XMP.format(fields).encode()}
    else:
        indices, palette = _palettised(clip.frames)
        images = [Image.fromarray(enlarged(frame, scale)) for frame in indices]
        for image in images:
            image.putpalette(palette)
        options = {"palette": palette, "comment": json.dumps(tags, ensure_ascii=False).encode()}
    options |= {"save_all": True, "append_images": images[1:], "loop": 0}
    out = io.BytesIO()
    images[0].save(out, kind.upper(), duration=np.diff(ends).tolist(), **options)
    return out.getvalue()


def _palettised(frames: np.ndarray) -> tuple[np.ndarray, bytes]:
    """RGB (T, H, W, 3) => indices (T, H, W) uint8 into one palette for all frames, RGBRGB..."""
    packed = frames @ np.array([1 << 16, 1 << 8, 1], np.uint32)
    colours, counts = np.unique(packed, return_counts=True)
    rgb = np.stack([colours >> 16, colours >> 8 & 255, colours & 255], axis=1).astype(np.uint8)
    if len(rgb) <= 256:
        palette, nearest = rgb, np.arange(len(rgb))
    else:
        from scipy.spatial import KDTree  # a quarter of a second that few need

        common = np.argsort(-counts)[:64]
        kept = rgb[common[counts[common] * 500 >= counts.sum()]]
        sample = Image.fromarray(frames.reshape(-1, 3)[None, :: 1 + frames.size // 3_000_000])
        others = sample.quantize(256 - len(kept), Image.Quantize.FASTOCTREE).getpalette() or []
        palette = np.unique([*kept, *np.reshape(others, (-1, 3))], axis=0).astype(np.uint8)
        nearest = KDTree(palette).query(rgb)[1]
    return nearest.astype(np.uint8)[np.searchsorted(colours, packed)], palette.tobytes()


def file_tags(clip: Clip, metadata: Tags | None) -> dict[str, str]:
    """What is written into a file: ``metadata``, and a title and comment for other programs."""
    tags = {
        re.sub(r"[^a-z0-9_]+", "_", key.lower()): _printable(str(value))
        for key, value in (metadata or {}).items()
    }
    summary = "; ".join(f"{key}: {value}" for key, value in tags.items())
    named = {"title": _printable(clip.caption), "comment": summary} | tags
    return {key: value for key, value in named.items() if value}


def _printable(text: str) -> str:
    """Without what some format or XML cannot hold: control characters, lone surrogates."""
    text = text.replace("\r\n", "\n").encode("utf-8", "replace").decode()
    return re.sub(r"[^\t\n\x20-\x7e\xa0-\ufffd\U00010000-\U0010ffff]", " ", text)


def _picture_tags(info: Mapping[Any, Any]) -> dict[str, str]:
    """What Pillow found in a picture => metadata."""
    tags = {str(key).lower(): value for key, value in info.items() if isinstance(value, str)}
    if isinstance(info.get("comment"), bytes):
        text = info["comment"].decode("utf-8", "replace")
        try:
            tags |= {str(key): str(value) for key, value in json.loads(text).items()}
        except (ValueError, AttributeError, RecursionError):  # somebody else's comment
            tags["comment"] = text
    if isinstance(info.get("xmp"), bytes):
        with contextlib.suppress(ElementTree.ParseError):
            for field in ElementTree.fromstring(info["xmp"]).iterfind(".//{urn:kineograph}*"):
                tags[field.tag.partition("}")[2]] = field.text or ""
    return tags


def write_frame_folders(clips: Iterable[Clip], folder: str | Path) -> None:
    """Clips => the tutorial's layout: ``video_0/frame_0.png …`` and ``video_0/prompt.txt``.

    A clip's folder appears when it is whole. The layout holds no fps. Raises RequestError where
    ``folder`` cannot be written or has such folders already.
    """
    folder = Path(folder)
    check_free(folder, force=True)
    with translate_os_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        if _numbered(folder, r"video_(\d+)"):
            raise RequestError(f"{folder} holds videos already.", "Choose an empty folder.")
        for number, clip in enumerate(clips):
            with tempfile.TemporaryDirectory(dir=folder, prefix=TEMPORARY_PREFIX) as temporary:
                made = Path(temporary, f"video_{number}")
                made.mkdir()
                made.joinpath("prompt.txt").write_text(clip.caption, "utf-8", newline="")
                for index, frame in enumerate(clip.frames):
                    Image.fromarray(frame).save(made / f"frame_{index}.png")
                publish(made, folder / made.name)


def read_frame_folders(folder: str | Path) -> list[Clip]:
    """The tutorial's layout => its clips, ordered by number.

    Raises RequestError, naming the file, for a missing prompt or frame, a broken picture, or
    frames of different sizes.
    """
    folder = Path(folder)
    with translate_os_errors(folder):
        videos = _numbered(folder, r"video_(\d+)")
        if not videos:
            raise RequestError(f"{folder} holds no video_0, video_1 ….", "Name another folder.")
        return [_read_frames(video) for video in videos.values()]


def _numbered(folder: Path, name: str) -> dict[int, Path]:
    """Paths by the number in their names, in its order: 9 before 10."""
    found = {int(m[1]): p for p in folder.iterdir() if (m := re.fullmatch(name, p.name))}
    return dict(sorted(found.items()))


def _read_frames(video: Path) -> Clip:
    try:
        caption = (video / "prompt.txt").read_text("utf-8").strip()
    except (FileNotFoundError, UnicodeDecodeError) as error:
        why = "is missing" if isinstance(error, FileNotFoundError) else "is not UTF-8"
        raise RequestError(f"{video}/prompt.txt {why}.", "Write the caption there.") from error
    frames: list[np.ndarray] = []
    for number, path in _numbered(video, r"frame_(\d+)\.png").items():
        if number != len(frames):
            raise RequestError(f"{video}/frame_{len(frames)}.png is missing.", "Restore it.")
        frames.append(read_video(path).frames[0])
        if frames[-1].shape != frames[0].shape:
            raise RequestError(f"{path} is of another size than frame_0.png.", "Make them alike.")
    if not frames:
        raise RequestError(f"{video} holds no frame_0.png.", "Put the frames there.")
    return Clip(np.stack(frames), caption)
