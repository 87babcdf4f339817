"""From a prompt to token ids, the same way in training and in generation."""

from __future__ import annotations

from transformers import PreTrainedTokenizerBase

from distilwhy.errors import ModelError


def prompt_ids(
    tokenizer: PreTrainedTokenizerBase,
    text: str,
    *,
    is_encoder_decoder: bool,
    limit: int | None = None,
) -> list[int]:
    """Return a prompt's tokens, with the start or end tokens that the model was trained with.

    Args:
        tokenizer: The model's tokenizer.
        text: The prompt.
        is_encoder_decoder: An encoder's input ends with the end token; a decoder's does not, as
            the text goes on.
        limit: Cut at so many tokens, the encoder's end token kept.
    """
    ids: list[int] = list(tokenizer(text)["input_ids"])
    end = tokenizer.eos_token_id
    if ids and ids[-1] == end:
        ids.pop()
    if is_encoder_decoder:
        return [*ids[: None if limit is None else limit - 1], int(end)]
    # A decoder needs at least one token to go on from.
    return ids[:limit] or [int(end)]


def chat_ids(tokenizer: PreTrainedTokenizerBase, text: str, name: str) -> list[int]:
    """Return the tokens of a prompt as a user's message, up to where the answer begins.

    Args:
        tokenizer: The model's tokenizer.
        text: The prompt.
        name: The model string, for messages.

    Raises:
        ModelError: When the model has no chat template.
    """
    if tokenizer.chat_template is None:
        raise ModelError(f"{name} has no chat template.", "Set chat: false, or take a chat model.")
    messages = [{"role": "user", "content": text}]
    ids = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=False)
    return list(ids)
