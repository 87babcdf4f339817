"""Which decoder-only models keep several texts in one line apart."""

from __future__ import annotations

from typing import Any

import torch


@torch.inference_mode()
def can_pack(model: Any) -> bool:
    """Return whether a model keeps packed rows apart by their positions.

    Recurrent models, and old ones that ignore positions, do not; for them rows are padded.
    """
    first, second = [5, 6, 7, 8], [9, 10, 11]
    model.eval()
    try:
        alone = model(input_ids=torch.tensor([second], device=model.device)).logits[0]
        packed = model(
            input_ids=torch.tensor([first + second], device=model.device),
            position_ids=torch.tensor([[0, 1, 2, 3, 0, 1, 2]], device=model.device),
            use_cache=False,
        ).logits[0, len(first) :]
    except (TypeError, ValueError, IndexError, RuntimeError):
        return False
    return bool(torch.allclose(alone, packed, atol=1e-3, rtol=1e-3))
