"""What libav may open and decode here, and what is known of each container, by libav's name for it."""

_MOV = "mov,mp4,m4a,3gp,3g2,mj2"

DECODERS = frozenset(
    [
        "aac",
        "aac_latm",
        "ac3",
        "adpcm_ima_qt",
        "adpcm_ima_wav",
        "adpcm_ms",
        "adpcm_swf",
        "adpcm_yamaha",
        "alac",
        "amrnb",
        "amrwb",
        "dca",
        "eac3",
        "flac",
        "g722",
        "g726",
        "g726le",
        "gsm",
        "gsm_ms",
        "libopencore_amrnb",
        "libopencore_amrwb",
        "libopus",
        "mlp",
        "mp1",
        "mp1float",
        "mp2",
        "mp2float",
        "mp3",
        "mp3float",
        "nellymoser",
        "opus",
        "pcm_alaw",
        "pcm_bluray",
        "pcm_dvd",
        "pcm_f32be",
        "pcm_f32le",
        "pcm_f64be",
        "pcm_f64le",
        "pcm_mulaw",
        "pcm_s16be",
        "pcm_s16le",
        "pcm_s24be",
        "pcm_s24le",
        "pcm_s32be",
        "pcm_s32le",
        "pcm_s8",
        "pcm_u8",
        "qdm2",
        "s302m",
        "speex",
        "truehd",
        "tta",
        "vorbis",
        "wavpack",
        "wmalossless",
        "wmapro",
        "wmav1",
        "wmav2",
        "wmavoice",
    ]
)

# For `av.open`. No protocol: what is opened is a file object, and nothing may be opened from within it. The list of
# containers is what stops playlists; the list of decoders also saves opening any for the picture.
OPTIONS = {
    "format_whitelist": "mov,mp4,matroska,webm,avi,mpegts,mpeg,flv,asf,ogg,mp3,aac,wav,w64,flac,amr",
    "protocol_whitelist": "none",
    "codec_whitelist": ",".join(sorted(DECODERS)),
}

# How a container names an end: of its sound, or of sound and picture together. The others name none, or libav makes
# one up from what there is of the file.
NAMES_SOUND_END = frozenset({_MOV, "flac", "wav", "w64"})
NAMES_WHOLE_END = frozenset({"matroska,webm", "flv"})

# Read by an index: of the file only the sound's bytes, and a gap in the time stamps is the recording's own.
INDEXED = frozenset({_MOV, "avi"})

# libav looks for their frames anew in what an MP4's index names, and makes one packet of all between two of them.
SWALLOWED = frozenset({"ac3", "eac3", "dca", "mp1", "mp2"})

# Their time stamps count samples: a gap is damage, however few bytes were passed over.
COUNTED = frozenset({"ogg", "flac"})

# libav takes damage in them for their end. What lies behind the last packet may be padding.
ENDS_QUIETLY = frozenset({"asf"})
PADDING_BYTES = 4096

# Frame after frame without time stamps: bytes between two of them are damage.
RAW = frozenset({"aac", "mp3"})

# Their bit rate says nothing of how much sound there is to lose.
LOSSLESS = frozenset({name for name in DECODERS if name.startswith("pcm_")}) | {
    *("alac", "flac", "mlp", "truehd", "tta", "wavpack", "wmalossless", "s302m"),
}
