"""What an input is, and the inputs a server has."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Protocol

from roomful.errors import ConfigError, Unimplemented
from roomful.plugin import Offer
from roomful_ingress.definition import Definition, InputType

if TYPE_CHECKING:
    from roomful_ingress.sessions import Sessions

_EXTRA = {InputType.RTMP: "rtmp-in", InputType.WHIP: "whip"}


class IngressInput(Protocol):
    """One way in for publishers; offered by the hook `ingress_inputs`.

    Listeners, routes and the participant factory of its transport are offered by the same plugin
    through the core's own hooks. A publisher comes in by `Sessions.open`.
    """

    types: tuple[int, ...]
    """numbers of livekit.IngressInput that it serves"""

    def url(self) -> str:
        """Return the address to which clients append the stream key."""
        ...

    async def start(self, sessions: Sessions) -> None:
        """Take what publishers are let in by; called before the first listener."""
        ...


class Inputs:
    """The inputs of one server, by type."""

    def __init__(self, base_urls: dict[InputType, str]) -> None:
        """`base_urls`: of the settings; they win over what inputs say, where not empty."""
        self._base_urls = base_urls
        self._inputs: dict[InputType, Offer[Any]] = {}

    def add(self, offers: Iterable[Offer[Any]]) -> None:
        """Raises `ConfigError` for two inputs of one type."""
        for offer in offers:
            for number in offer.value.types:
                kind = InputType(number)
                if (there := self._inputs.get(kind)) is not None:
                    raise ConfigError(
                        f"ingress input {kind.name} is offered by {there.plugin!r} of "
                        f"{there.distribution} and by {offer.plugin!r} of {offer.distribution}: "
                        "disable one in [plugins] disabled"
                    )
                self._inputs[kind] = offer

    def all(self) -> list[IngressInput]:
        """Every input once."""
        return list({id(o.value): o.value for o in self._inputs.values()}.values())

    def require(self, kind: InputType) -> None:
        """Raise `Unimplemented` where nothing here takes publishers of this kind."""
        if kind in self._inputs:
            return
        if kind is InputType.URL:
            raise Unimplemented("URL_INPUT: no plugin here pulls from URLs; push by RTMP or WHIP")
        raise Unimplemented(
            f"{kind.name}_INPUT is not offered here: pip install 'roomful[{_EXTRA[kind]}]'"
        )

    def url(self, definition: Definition) -> str:
        """Return the address for clients, without the key; empty while its input is away."""
        kind = definition.input_type
        if base := self._base_urls.get(kind):
            return base
        offer = self._inputs.get(kind)
        return offer.value.url() if offer else ""
