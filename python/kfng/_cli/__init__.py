"""The commands of `kfng`, a file each; `kfng.cli` joins them."""
