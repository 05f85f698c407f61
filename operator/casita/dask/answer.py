"""What the operator answers a report with: how the session's pools stand."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

Text = Annotated[str, Field(max_length=4096)]
Count = Annotated[int, Field(ge=0)]


class PoolState(BaseModel):
    """One pool, as the session's status has it."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    pool: Text
    backend: Text = ""
    min: Count = 0
    max: Count = 0
    desired: Count = 0
    requested: Count = 0
    ready: Count = 0

    @property
    def settled(self) -> bool:
        """Whether the pool has what it is to have."""
        return self.requested == self.ready == self.desired


class Answer(BaseModel):
    """The session by its last status."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    mode: Text = ""
    """``Adaptive`` or ``Manual``; empty where the operator did not say."""
    message: Text = ""
    """Why the workers are as they are."""
    pools: Annotated[tuple[PoolState, ...], Field(max_length=100)] = ()

    @property
    def settled(self) -> bool:
        """Whether all pools have what they are to have."""
        return all(pool.settled for pool in self.pools)

    def body(self) -> dict[str, Any]:
        """Return it as plain data."""
        return self.model_dump()


def parse_answer(body: bytes) -> Answer:
    """Return the answer in the body of an operator's response; an empty one says nothing.

    Raises:
        ValueError: it is no answer.
    """
    if not body.strip():
        return Answer()
    try:
        return Answer.model_validate_json(body)
    except ValidationError as error:
        raise ValueError(f"not an answer: {error.error_count()} errors") from error
