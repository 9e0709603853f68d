"""An image is a tar that any container runtime imports."""

import hashlib
import io
import json
import tarfile

from testbed.images import Settings, busybox_layer, write_archive

NAME = "docker.io/local/x:1"


def opened(data):
    """A tar from bytes."""
    return tarfile.open(fileobj=io.BytesIO(data))


class TestWriteArchive:
    def test_the_manifest_names_config_and_layers(self, tmp_path):
        """What the manifest names is there, and the config's hash is its name."""
        image = write_archive(tmp_path / "i.tar", NAME, [b"one", b"two"], Settings())

        with tarfile.open(image.archive) as archive:
            [manifest] = json.load(archive.extractfile("manifest.json"))
            config = archive.extractfile(manifest["Config"]).read()
            layers = [archive.extractfile(name).read() for name in manifest["Layers"]]
        assert manifest["RepoTags"] == [NAME]
        assert manifest["Config"] == f"{hashlib.sha256(config).hexdigest()}.json"
        assert layers == [b"one", b"two"]

    def test_the_config_carries_the_hash_of_each_layer(self, tmp_path):
        """Containerd refuses an image whose layers do not match."""
        image = write_archive(tmp_path / "i.tar", NAME, [b"one"], Settings(user="7"))

        with tarfile.open(image.archive) as archive:
            [manifest] = json.load(archive.extractfile("manifest.json"))
            config = json.load(archive.extractfile(manifest["Config"]))
        assert config["rootfs"]["diff_ids"] == [f"sha256:{hashlib.sha256(b'one').hexdigest()}"]
        assert config["config"]["User"] == "7"

    def test_equal_content_gives_an_equal_archive(self, tmp_path):
        """No time of day and no owner gets in."""
        archives = [
            write_archive(tmp_path / name, NAME, [b"one"], Settings()).archive
            for name in ("a.tar", "b.tar")
        ]

        assert archives[0].read_bytes() == archives[1].read_bytes()


class TestBusyboxLayer:
    def test_every_applet_is_a_link_to_the_program(self):
        """The program itself is no link to itself."""
        layer = opened(busybox_layer(b"ELF", ["sh", "busybox", "sleep"]))

        assert layer.extractfile("bin/busybox").read() == b"ELF"
        assert layer.getmember("bin/busybox").mode == 0o755
        assert {m.name: m.linkname for m in layer if m.issym()} == {
            "bin/sh": "busybox",
            "bin/sleep": "busybox",
        }

    def test_anyone_may_write_to_tmp(self):
        """A pod that is not root finds a temporary folder."""
        assert opened(busybox_layer(b"ELF", [])).getmember("tmp").mode == 0o1777
