"""Is an answer of a stage one that its job can have? A stage may be wrong without crashing. Pure."""

from ipc.messages import (
    AsrResult,
    AsrWork,
    CorrectionResult,
    CorrectionWork,
    DiarizationResult,
    DiarizationWork,
    IngestResult,
    IngestWork,
    Result,
    Work,
)


def fits(work: Work, result: Result) -> bool:
    """Whether `result` has the type and the counts that `work` asks for."""
    match work, result:
        case IngestWork(tasks), IngestResult(outcomes):
            return [task.session for task in tasks] == [outcome.session for outcome in outcomes]
        case AsrWork(), AsrResult():
            return True
        case DiarizationWork(), DiarizationResult(turns, pieces):
            return all(0 <= turn.piece < len(pieces) for turn in turns)
        case CorrectionWork(texts), CorrectionResult(corrected):
            return len(texts) == len(corrected)
    return False
