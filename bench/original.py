"""The way that this product replaces: `python -m bench.original MONGO_URL`, in the .venv that has moviepy.

For each line with a video's id: the whole file out of GridFS to the disk, its sound written to an MP3 on the disk by
moviepy with its own settings, that MP3 whole into GridFS. Answers with a line that says how many seconds it took and
the id of the MP3. As the consumer that the original is, it has everything imported and is connected before the first.
"""

import json
import sys
import tempfile
import time
from pathlib import Path

from bson import ObjectId
from gridfs import GridFS
from moviepy import VideoFileClip
from pymongo import MongoClient


def convert(videos: GridFS, mp3s: GridFS, video_id: ObjectId, folder: Path) -> tuple[float, ObjectId]:
    """Seconds, and the MP3's id."""
    started = time.monotonic()
    with tempfile.NamedTemporaryFile(dir=folder) as file:
        file.write(videos.get(video_id).read())
        file.flush()
        with VideoFileClip(file.name) as clip:
            path = folder / f"{video_id}.mp3"
            clip.audio.write_audiofile(str(path), logger=None)
            mp3_id = mp3s.put(path.read_bytes())
            path.unlink()
            seconds = time.monotonic() - started
    return seconds, mp3_id


def main(url: str) -> None:
    """Until the input ends."""
    client: MongoClient[dict[str, object]] = MongoClient(url)
    database = client.get_default_database()
    videos, mp3s = GridFS(database, "videos"), GridFS(database, "mp3s")
    database.command("ping")
    print("ready", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for line in sys.stdin:
            seconds, mp3_id = convert(videos, mp3s, ObjectId(line.strip()), Path(folder))
            print(json.dumps({"seconds": seconds, "mp3": str(mp3_id)}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
