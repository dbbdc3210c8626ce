"""Check the tokens of a mix over all files: boundaries, vocabulary, empty documents.

In: the tokens of one file as they are stored and the bounds of its documents. Out: additive
counters `rescan.*`, summed per source. The benchmark rescan (`rescan.hits`) is not made here.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from transforms.kernels.token_scan import scan_tokens

__all__ = ["check_tokens"]


def check_tokens(
    tokens: npt.NDArray[np.uint32],
    starts: npt.NDArray[np.int64],
    ends: npt.NDArray[np.int64],
    vocabulary_size: int,
    eos_token: int,
) -> dict[str, int]:
    """Count one token file; all keys are there, whatever is found.

    `tokens` uint32[] (a memory map will do); `starts` and `ends` int64[documents], half-open, in
    tokens, in file order; `vocabulary_size` is exclusive. Counters: `rescan.files` 1;
    `rescan.tokens` in the file;
    `rescan.documents`; `rescan.tokens_out_of_range`; `rescan.inner_eos` (EOS before a document's
    last token); `rescan.missing_eos` (documents that do not close with EOS);
    `rescan.empty_documents` (nothing beside EOS); `rescan.misplaced_documents` (leave the file, end
    before they start or overlap an earlier one); `rescan.stray_tokens` (in no document).
    """
    counts = scan_tokens(np.asarray(tokens), starts, ends, vocabulary_size, eos_token)
    return {
        "rescan.files": 1,
        "rescan.tokens": len(tokens),
        "rescan.documents": len(starts),
        "rescan.tokens_out_of_range": counts.out_of_range,
        "rescan.inner_eos": counts.inner_eos,
        "rescan.missing_eos": counts.missing_eos,
        "rescan.empty_documents": counts.empty,
        "rescan.misplaced_documents": counts.misplaced,
        "rescan.stray_tokens": len(tokens) - counts.covered,
    }
