# shellcheck shell=sh
# The set-up that scripts/demo and scripts/test share: read with `.`, never run by itself.
#
#   set_up EXTRA TOOL=PACKAGE …    the Debian packages of the tools that are missing, and a virtual
#                                  environment with k8scap (and its EXTRA, "" for none) in it
#   step "what" COMMAND …          runs a command, its output in a log that is shown when it fails
#
# POSIX sh and python3 are all it counts on. What is there already is left alone, and a run that was broken
# off is taken up again by the next one.
#
# K8SCAP_PYTHON  the Python to use (python3)         K8SCAP_VENV  the virtual environment (.venv)

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd) || exit 1
cd -- "$root" || exit 1
me=scripts/$(basename -- "$0")
venv=${K8SCAP_VENV:-$root/.venv}
case $venv in /*) ;; *) venv=$root/$venv ;; esac
mark=$venv/k8scap-setup # what was installed, and for which Python; "unfinished" while that goes on
log=$(mktemp "${TMPDIR:-/tmp}/k8scap-setup.XXXXXX") || exit 1
started=$(date +%s)
as_root='' # "sudo -n" or "sudo" where we are not root

# An ordinary user's PATH leaves out the folders where tcpdump, dockerd and iptables may lie.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
export PATH PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1
# Each of these would send the packages, or the search for them, somewhere else than the environment.
unset PYTHONHOME PYTHONPATH PIP_TARGET PIP_PREFIX PIP_USER

keep_log=
trap '[ -n "$keep_log" ] || rm -f -- "$log"' EXIT
trap 'echo; echo "$me: interrupted; run it again, it goes on from here." >&2; exit 130' INT
trap 'exit 143' TERM

die() {
    echo "$me: $*" >&2
    exit 1
}

broken() {
    keep_log=yes
    {
        echo "---- the end of $log ----"
        # Only what the last command said, and of that no more than fits a screen.
        sed -n '/^\$ /h; //!H; $!d; x; p' "$log" | tail -n 25
        echo "----"
    } >&2
    die "$* The whole log is $log."
}

seconds() {
    echo "$(($(date +%s) - started)) s"
}

step() {
    printf '%s ... ' "$1"
    shift
    step_started=$(date +%s)
    printf '\n$ %s\n' "$*" >>"$log"
    step_code=0
    "$@" >>"$log" 2>&1 </dev/null || step_code=$?
    if [ "$step_code" = 0 ]; then
        echo "$(($(date +%s) - step_started)) s"
    else
        echo "failed"
    fi
    return "$step_code"
}

# ---- Python ----

find_python() {
    for python in ${K8SCAP_PYTHON:+"$K8SCAP_PYTHON"} python3 python3.13 python3.12 python3.11; do
        if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            return 0
        fi
    done
    if command -v python3 >/dev/null; then
        have="$(python3 -c 'import platform; print(platform.python_version())') is here"
    else
        have="there is none here"
    fi
    die "k8scap needs Python 3.11 or newer ($have): install it (Debian 12, Ubuntu 24.04 and newer have it as python3), or name one with K8SCAP_PYTHON=/path/to/python3."
}

# ---- Debian packages ----

find_root() {
    if [ "$(id -u)" = 0 ]; then
        return 0
    elif ! command -v sudo >/dev/null; then
        return 1
    elif sudo -n true 2>/dev/null; then
        as_root='sudo -n'
    elif [ -t 0 ] && [ -t 2 ]; then
        echo "$me: $1; sudo may ask for your password."
        sudo -v || return 1
        as_root=sudo
    else
        return 1
    fi
}

apt_get() {
    # A fresh machine's own unattended upgrade may hold the lock for a while: wait for it.
    # shellcheck disable=SC2086 # $as_root is nothing, or a command and its option
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300 "$@"
}

repair_packages() {
    # shellcheck disable=SC2086
    $as_root env DEBIAN_FRONTEND=noninteractive dpkg --configure -a && apt_get update
}

have_tool() {
    case $1 in
    # Debian's busybox lies at the same path, and only the static one runs in an empty image.
    busybox-static) [ "$(dpkg-query -W -f '${db:Status-Status}' busybox-static 2>/dev/null)" = installed ] ;;
    ensurepip) "$python" -c 'import ensurepip, venv' 2>/dev/null ;;
    *) command -v "$1" >/dev/null ;;
    esac
}

install_packages() {
    packages=
    for pair in "$@"; do
        have_tool "${pair%%=*}" || packages="$packages ${pair#*=}"
    done
    packages=${packages# }
    [ -n "$packages" ] || return 0
    command -v apt-get >/dev/null ||
        die "this needs what Debian calls $packages: install it with this system's package manager (there is no apt-get here), then run $me again."
    find_root "installing $packages" ||
        die "this needs $packages, and we are neither root nor may use sudo: have somebody run 'apt-get install --no-install-recommends $packages', then run $me again."
    # shellcheck disable=SC2086 # package names, one word each
    if apt_get -s install --no-install-recommends $packages >>"$log" 2>&1; then
        step "installing $packages (apt-get, 1 min)" apt_get install --no-install-recommends $packages && return 0
    fi
    step "asking for the newest package lists (apt-get update)" repair_packages ||
        broken "apt-get update failed; $packages cannot be installed."
    # shellcheck disable=SC2086
    step "installing $packages (apt-get, 1 min)" apt_get install --no-install-recommends $packages ||
        broken "apt-get could not install $packages."
}

# ---- the virtual environment ----

# venv_state EXTRA: ready; stale (packages to be installed into it); or new (to be made, or made again)
venv_state() {
    found=$(cat -- "$mark" 2>/dev/null) || found=none
    case $found in
    "$identity|$sum|$1" | "$identity|$sum|test") state=ready ;;
    "$identity|"*) state=stale ;;
    none) state=stale ;; # made by hand: leave what is in it
    *) state=new ;;
    esac
    "$venv/bin/python" -c 'import pip' 2>/dev/null || state=new
}

make_venv() {
    if [ -e "$venv" ] && [ ! -e "$mark" ] && [ -n "$(ls -A -- "$venv")" ]; then
        die "$venv is there, but is not a virtual environment that works: move it away, or name another with K8SCAP_VENV, then run $me again."
    fi
    if ! mkdir -p -- "$venv" || ! echo unfinished >"$mark"; then
        die "$venv cannot be written."
    fi
    find "$venv" -mindepth 1 -maxdepth 1 ! -name k8scap-setup -exec rm -rf -- {} +
    step "making a virtual environment with $("$python" -V)" "$python" -m venv -- "$venv" ||
        broken "the virtual environment could not be made."
}

fill_venv() {
    extra=$1
    case $found in *"|test") extra='test' ;; esac # never less than there was
    echo unfinished >"$mark"
    step "installing k8scap and the Python packages it needs (pip, 1 to 3 min)" \
        "$venv/bin/python" -m pip install --editable ".${extra:+[$extra]}" ||
        broken "pip could not install the Python packages."
    printf '%s|%s|%s\n' "$identity" "$sum" "$extra" >"$mark"
}

# ---- all of it ----

set_up() {
    wanted=$1
    shift
    find_python
    identity="$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2], sys.base_prefix)')|$root|$venv"
    sum=$(cksum <pyproject.toml)
    venv_state "$wanted"
    if [ "$state" = new ]; then
        version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
        install_packages "$@" "ensurepip=python$version-venv"
        make_venv
    else
        install_packages "$@"
    fi
    [ "$state" = ready ] || fill_venv "$wanted"
}
