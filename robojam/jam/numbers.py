"""Types of the numbers of a jam's state, with the bounds by which data is checked."""

from typing import Annotated

from msgspec import Meta

#: A time of the take in seconds, and any number of seconds, or the like, that is finite.
Time = Annotated[float, Meta(ge=0, le=1e9)]
Seconds = Annotated[float, Meta(ge=-1e9, le=1e9)]
#: An instant that may be minus infinity (it never was), and one that may be infinity.
Past = Annotated[float, Meta(le=1e9)]
Future = Annotated[float, Meta(ge=-1e9)]
Count = Annotated[int, Meta(ge=0, le=2**62)]
