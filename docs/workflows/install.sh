#!/bin/sh
# Install genoformer from a checkout into the Python on PATH, and check that it scores: the steps of the Dockerfile.
#
#   sh install.sh CHECKOUT [EXTRAS]      EXTRAS: train, ray, anndata ..., separated by commas
set -eu
checkout=$(cd "$1" && pwd)
extras=${2:+[$2]}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder" # so that Python does not find the checkout
python -m pip install --no-cache-dir -c "$checkout/constraints.txt" "$checkout$extras"
genoformer --version
demo=$(python -c 'from importlib.resources import files; print(files("genoformer_data") / "demo")')
genoformer score "$demo/variants.vcf.gz" -f "$demo/genome.fa.gz" -m demo -s LLR --strand forward -r chrS1:1-9,000 -o scored.vcf
grep -q "GF_LLR=" scored.vcf
