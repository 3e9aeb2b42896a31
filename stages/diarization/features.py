"""What a voice is told by: cepstra and pitch of the voiced frames, as one vector per stretch of speech.

Only 80–3700 Hz is looked at: a telephone's band, so that the width of a microphone's band says nothing about
who speaks. Level says nothing either: audio is brought to one level first and the energy coefficient is left out.
"""

from typing import NamedTuple

import numpy as np
from kaldi_native_fbank import (
    MfccOptions,
    OnlineMfcc,
    PitchExtractionOptions,
    ProcessPitchOptions,
    compute_and_process_kaldi_pitch,
)
from numpy.typing import NDArray

from ipc.audio_handle import SAMPLE_RATE, Audio

Vector = NDArray[np.float64]
Mask = NDArray[np.bool_]

FRAMES_PER_SECOND = 100
HOP = SAMPLE_RATE // FRAMES_PER_SECOND
WINDOW = SAMPLE_RATE // 40
"""Samples per frame: 25 ms every 10 ms, Kaldi's defaults."""
CEPSTRA = 18
MEL_BANDS = 24
BAND_HZ = (80.0, 3700.0)
PITCH_HZ = (60.0, 400.0)
LOUD_PERCENTILE = 95
LOUD_DB = -17.0
"""Level to which the loud frames are brought: Kaldi's pitch tracker expects 16-bit magnitudes of ordinary speech."""
SILENT_DB = -100.0
"""Below the last bit of 16-bit audio: nothing was recorded."""
FLOOR_DB = -120.0
SPEECH_RANGE_DB = 30.0
"""Frames that much below the loud ones are background: the dynamic range of speech in ANSI S3.5 (the SII)."""
VOICED = -0.3
"""Kaldi's probability-of-voicing feature, 2 ((1.0001 - |nccf|)^0.15 - 1) (Ghahremani et al., ICASSP 2014): below
this a frame is voiced. It is an autocorrelation of about 0.66."""


class Frames(NamedTuple):
    """cepstra: [n, CEPSTRA - 1]. log_pitch: [n], log Hz. voiced: [n]. A frame every 10 ms."""

    cepstra: Vector
    log_pitch: Vector
    voiced: Mask


def analysed(audio: Audio) -> Frames | None:
    """The frames of an utterance, None where it is shorter than one frame or silent throughout."""
    if len(audio) < WINDOW:
        return None
    level = frame_levels(audio)
    loud = float(np.percentile(level, LOUD_PERCENTILE))
    if loud < SILENT_DB:
        return None
    magnitudes = (audio * (32768 * 10 ** ((LOUD_DB - loud) / 20))).astype(np.float32)
    cepstra, pitch = mfcc(magnitudes), voicing_and_pitch(magnitudes)
    n = min(len(cepstra), len(pitch), len(level))
    voiced = (pitch[:n, 0] < VOICED) & (level[:n] > loud - SPEECH_RANGE_DB)
    return Frames(cepstra[:n], pitch[:n, 1], voiced)


def frame_levels(audio: Audio) -> Vector:
    """dBFS (RMS) of each frame, at least FLOOR_DB."""
    frames = np.lib.stride_tricks.sliding_window_view(audio, WINDOW)[::HOP]
    power = np.mean(np.square(frames, dtype=np.float64), axis=1)
    levels: Vector = 10 * np.log10(np.maximum(power, 10 ** (FLOOR_DB / 10)))
    return levels


def mfcc(magnitudes: Audio) -> Vector:
    """[n, CEPSTRA - 1]: all coefficients but the first, which is level."""
    options = MfccOptions()
    options.frame_opts.samp_freq = SAMPLE_RATE
    options.frame_opts.dither = 0.0
    options.use_energy = False
    options.num_ceps = CEPSTRA
    options.mel_opts.num_bins = MEL_BANDS
    options.mel_opts.low_freq, options.mel_opts.high_freq = BAND_HZ
    extractor = OnlineMfcc(options)
    extractor.accept_waveform(SAMPLE_RATE, magnitudes)
    extractor.input_finished()
    rows = [extractor.get_frame(i)[1:] for i in range(extractor.num_frames_ready)]
    return np.array(rows, dtype=np.float64)


def voicing_and_pitch(magnitudes: Audio) -> Vector:
    """[n, 2]: Kaldi's probability-of-voicing feature, log Hz."""
    options = PitchExtractionOptions()
    options.samp_freq = SAMPLE_RATE
    options.snip_edges = True
    options.min_f0, options.max_f0 = PITCH_HZ
    kept = ProcessPitchOptions()
    kept.add_pov_feature = kept.add_raw_log_pitch = True
    kept.add_normalized_log_pitch = kept.add_delta_pitch = False
    features = compute_and_process_kaldi_pitch(options, kept, magnitudes)
    return np.asarray(features, dtype=np.float64)


def statistics(frames: Frames, chosen: Mask) -> Vector:
    """[STATISTICS]: mean and standard deviation of each coefficient and mean log pitch, over the chosen frames."""
    cepstra = frames.cepstra[chosen]
    return np.concatenate([cepstra.mean(axis=0), cepstra.std(axis=0), [frames.log_pitch[chosen].mean()]])


STATISTICS = 2 * (CEPSTRA - 1) + 1
