"""Where everything of a product lies on its host."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

DEFAULT_PARENT = Path("/opt")


@dataclass(frozen=True, slots=True)
class Layout:
    """All paths of one product. `root` is `/` except in tests; `prefix` is where the releases go."""

    product: str
    prefix: Path
    root: Path = Path("/")

    @classmethod
    def of(cls, product: str, prefix: Path | None = None, root: Path = Path("/")) -> Layout:
        """The layout with the default prefix `/opt/<product>` unless another is given."""
        return cls(product, prefix or root / DEFAULT_PARENT.relative_to("/") / product, root)

    @property
    def releases(self) -> Path:
        """The folder with one folder per version."""
        return self.prefix / "releases"

    def release(self, version: object) -> Path:
        """The folder of `version`."""
        return self.releases / str(version)

    @property
    def current(self) -> Path:
        """The link that one rename switches."""
        return self.prefix / "current"

    @property
    def config_dir(self) -> Path:
        """Configuration that operators edit."""
        return self.root / "etc" / self.product

    @property
    def trusted_keys_dir(self) -> Path:
        """Public keys that an administrator put there before the first install."""
        return self.config_dir / "trusted-keys.d"

    @property
    def mirrors_dir(self) -> Path:
        """Files with mirrors that an administrator put there."""
        return self.config_dir / "mirrors.d"

    @property
    def data_dir(self) -> Path:
        """What the product's user owns."""
        return self.root / "var/lib" / self.product

    @property
    def rehearsal_dir(self) -> Path:
        """A copy of the database, while a migration is rehearsed on it."""
        return self.data_dir / ".rehearsal"

    @property
    def images_dir(self) -> Path:
        """Images of the current release."""
        return self.data_dir / "images"

    @property
    def log_dir(self) -> Path:
        """Logs of the product and of the installer's runs."""
        return self.root / "var/log" / self.product

    @property
    def state_dir(self) -> Path:
        """The installer's own folder; root only."""
        return self.data_dir / "installer"

    @property
    def state_file(self) -> Path:
        """What is installed."""
        return self.state_dir / "state.json"

    @property
    def lock_file(self) -> Path:
        """Held by the one run that may change something."""
        return self.state_dir / "lock"

    @property
    def journal_dir(self) -> Path:
        """One file per run."""
        return self.state_dir / "journal"

    @property
    def trust_file(self) -> Path:
        """Whose bundles this host takes, and the newest that it took."""
        return self.state_dir / "trust.json"

    @property
    def backup_key(self) -> Path:
        """What this host signs its backups with."""
        return self.state_dir / "keys/backup.pem"

    def scratch(self, run: str) -> Path:
        """What undoing `run` needs; removed when the run is over. Beside `kept`, which goes too if it is undone."""
        return self.state_dir / "backup" / run / "undo"

    def kept(self, run: str) -> Path:
        """What `run` saved for a later rollback; stays until its release is removed."""
        return self.state_dir / "backup" / run / "kept"

    @property
    def commands_dir(self) -> Path:
        """Where operators' commands are linked."""
        return self.root / "usr/local/bin"

    @property
    def ctl(self) -> Path:
        """The product's control command."""
        return self.commands_dir / f"{self.product}-ctl"

    @property
    def completion(self) -> Path:
        """What bash completes the control command by."""
        return self.root / "usr/share/bash-completion/completions" / self.ctl.name

    @property
    def sysctl_file(self) -> Path:
        """The product's kernel settings."""
        return self.root / "etc/sysctl.d" / f"90-{self.product}.conf"

    @property
    def sysctl_origin(self) -> Path:
        """What the kernel had before the product's settings."""
        return self.state_dir / "sysctl.json"

    @property
    def firewall_record(self) -> Path:
        """The ports that the installer opened."""
        return self.state_dir / "firewall.json"

    @property
    def units_dir(self) -> Path:
        """The administrator's systemd units."""
        return self.root / "etc/systemd/system"
