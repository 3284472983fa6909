"""Everything that kfng is compared with, and kfng itself: the subclasses of `Peer` in the files of this folder."""

import importlib
import pkgutil

from peers.base import Peer


def _found() -> dict[str, type[Peer]]:
    found = set[type[Peer]]()
    for file in pkgutil.iter_modules(__path__):
        module = importlib.import_module(f"peers.{file.name}")
        found |= {
            value
            for value in vars(module).values()
            if isinstance(value, type) and issubclass(value, Peer) and hasattr(value, "name")
        }
    return {peer.name: peer for peer in sorted(found, key=lambda peer: (peer.rank, peer.name))}


PEERS = _found()
