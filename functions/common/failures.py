"""Why a job can fail for good: the stable code, and the sentence that its owner reads."""

FAILURES = {
    "no_audio": "The file has no sound, so there is nothing to make an MP3 of.",
    "corrupt": "The file is damaged or incomplete: its sound could not be read to the end.",
    "unsupported": "The file is in a format that cannot be read here.",
    "no_such_track": "The file has no sound track of that number or language.",
    "nothing_left": "The file's sound ends before the start that was asked for.",
    "too_long": "The file's sound lasts longer than four hours.",
    "timeout": "The conversion did not come to an end within a week.",
    "time_limit": "The conversion took longer than it may.",
    "gave_up": "The conversion was tried several times and never came to an end.",
}
