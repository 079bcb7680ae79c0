"""python -m genoformer_cli, as torchrun wants it."""

from .main import main

main()
