#!/bin/sh
# Installs all updates that there are.
set -eu
dnf -y update
