"""Find the packages, and make an editable install win over a folder named genoformer; pyproject.toml has the rest of the build.

An editable install finds the package by a hook that Python asks last. In the folder above a clone that is named genoformer,
Python finds that folder first, takes it for a package without code, and `genoformer.score` does not exist. With the clone on
the import path, Python finds the package itself, which comes before any folder without code.
"""

from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent


class BuildPy(build_py):
    """Write the path of the clone into an editable wheel."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:
            folder = Path(self.get_finalized_command("install").install_lib)
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "genoformer_clone.pth").write_text(f"{ROOT}\n")


packages = find_packages(str(ROOT), include=["genoformer", "genoformer.*"])  # a new family of models is a new folder
setup(packages=[*packages, "genoformer_cli", "genoformer_data"], cmdclass={"build_py": BuildPy})
