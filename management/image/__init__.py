"""The trial image: the smallest virtual machine that boots and takes disks and nics while it runs."""
