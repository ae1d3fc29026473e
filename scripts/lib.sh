# Sourced by the other scripts: makes the environment under .local/ (ignored by git) and says where things are in it.
#
# Environment variables, all optional:
#   ODOO_HOME    Odoo 19 to use instead of downloading one: a checkout, or the folder that holds the `odoo` package
#   ODOO_PYTHON  interpreter that has Odoo's requirements; without it .local/venv is made from *requirements.txt
#   PGHOST, PGPORT, PGUSER, PGPASSWORD   PostgreSQL server to use; without PGHOST a private one runs in .local/postgres
#   ODOO_PORT    HTTP port (8069)
#   DEMO_DB      database of scripts/demo, and of scripts/odoo without -d (member_messaging_demo)
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
LOCAL=$ROOT/.local
ADDON=member_messaging
PYTHON=${ODOO_PYTHON:-$LOCAL/venv/bin/python}
ODOO_PORT=${ODOO_PORT:-8069}

# sid's odoo-19 and what its symbolic links point at: Debian takes copies of other projects out of its packages.
ODOO_PACKAGES=(odoo-19 libjs-jquery libjs-jquery-form libjs-underscore fonts-glyphicons-halflings fonts-inconsolata
    fonts-montserrat fonts-ocr-b fonts-roboto-unhinted)

say() { printf '\e[1m%s\e[0m\n' "$*" >&2; }
die() { say "$*"; exit 1; }

# A step is done when its stamp holds the hash of everything that step depends on.
stamp_is() { [[ -f $LOCAL/stamps/$1 && $(<"$LOCAL/stamps/$1") == "$2" ]]; }
stamp() { mkdir -p "$LOCAL/stamps" && printf '%s\n' "$2" >"$LOCAL/stamps/$1"; }
hash_of() { sha256sum | cut -c1-12; }

as_root() { if ((EUID)); then sudo "$@"; else "$@"; fi; }

apt_install() {
    say "Installing $*"
    as_root apt-get update -qq >&2
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "$@" >&2
}

# Debian's build of Odoo, from the machine's own mirror and with its keys, but with package lists and a cache of our own,
# so that nothing else on the machine learns about sid.
download_odoo_packages() {
    local apt=$LOCAL/apt keyring=/usr/share/keyrings/debian-archive-keyring.gpg mirror
    local -a index=(apt-get indextargets --format '$(REPO_URI)' 'Identifier: Packages' 'Label: Debian')
    [[ $("${index[@]}") ]] || as_root apt-get update -qq >&2
    mirror=$("${index[@]}" | head -1)
    [[ $mirror ]] || return
    mkdir -p "$apt"/{lists,cache,debs}
    [[ -f $keyring ]] && keyring="[signed-by=$keyring]" || keyring=
    echo "deb $keyring $mirror sid main" >"$apt/sources.list"
    cat >"$apt/apt.conf" <<-EOF
		Dir::Etc::SourceList "$apt/sources.list";
		Dir::Etc::SourceParts "-";
		Dir::State::Lists "$apt/lists";
		Dir::Cache "$apt/cache";
		Acquire::Languages "none";
		APT::Sandbox::User "root";
		APT::Update::Error-Mode "any";
	EOF
    (
        export APT_CONFIG=$apt/apt.conf
        cd "$apt/debs"
        apt-get update -qq && apt-get download -qq "${ODOO_PACKAGES[@]}"
    ) >&2
}

# Two fonts have moved in sid since Odoo's links were made. Odoo draws FontAwesome 4.7, which its package still holds as
# woff2; fonts-font-awesome is at 7. The library that blurs the background of calls is left out of the package: without
# a file in its place the browser reports an error on every page.
unpack_odoo_packages() {
    local share=$LOCAL/odoo/usr/share addons=$LOCAL/odoo/usr/lib/python3/dist-packages/odoo/addons deb link
    for deb in "$LOCAL"/apt/debs/*.deb; do
        dpkg-deb -x "$deb" "$LOCAL/odoo"
    done
    rm -rf "$LOCAL/apt"
    find "$addons" -xtype l | while read -r link; do
        case $link in
            */Inconsolata.otf) ln -sfr "$share/fonts/opentype/inconsolata/Inconsolata-Regular.otf" "$link" ;;
            */fontawesome/fonts/*) ln -sfr "$addons/web/static/src/libs/fontawesome/fonts/fontawesome-webfont.woff2" "$link" ;;
        esac
    done
    [[ ! $(find "$addons" -xtype l) ]] || die "Dangling links: $(find "$addons" -xtype l)"
    mkdir -p "$addons/mail/static/lib/selfie_segmentation"
    touch "$addons/mail/static/lib/selfie_segmentation/selfie_segmentation.js"
}

setup_odoo() {
    local key
    key=$(hash_of <<<"${ODOO_PACKAGES[*]}")
    if [[ ! ${ODOO_HOME:-} ]]; then
        if ! stamp_is odoo "$key"; then
            say "Downloading Odoo 19"
            rm -rf "$LOCAL/odoo"
            if download_odoo_packages; then
                unpack_odoo_packages
            else
                git clone -q --depth 1 --branch 19.0 https://github.com/odoo/odoo "$LOCAL/odoo"
            fi
            stamp odoo "$key"
        fi
        ODOO_HOME=$LOCAL/odoo/usr/lib/python3/dist-packages
        [[ -d $ODOO_HOME ]] || ODOO_HOME=$LOCAL/odoo
    fi
    [[ -f $ODOO_HOME/odoo/release.py ]] || die "ODOO_HOME=$ODOO_HOME holds no odoo package"
    export ODOO_HOME
}

# make_venv NAME REQUIREMENTS…
make_venv() {
    local name=$1 key
    shift
    key=$(cat "$@" <(python3 --version) | hash_of)
    stamp_is "$name" "$key" && return
    say "Installing Python packages in .local/$name"
    python3 -c 'import ensurepip' 2>/dev/null || apt_install python3-venv
    python3 -m venv --clear "$LOCAL/$name"
    "$LOCAL/$name/bin/python" -m pip install -qq "${@/#/--requirement=}" >&2
    stamp "$name" "$key"
}

# The interpreter and its packages; all that lint and the tests without Odoo need.
setup_python() {
    [[ ${ODOO_PYTHON:-} ]] || make_venv venv "$ROOT/requirements.txt" "$ROOT/test-requirements.txt"
}

# Lets the interpreter import Odoo; our venv after its own packages, lest an ODOO_HOME that holds more than Odoo wins.
link_odoo() {
    if [[ ${ODOO_PYTHON:-} ]]; then
        export PYTHONPATH=$ODOO_HOME${PYTHONPATH:+:$PYTHONPATH}
    else
        echo "$ODOO_HOME" >"$(echo "$LOCAL"/venv/lib/python3.*/site-packages)/odoo.pth"
    fi
}

# PostgreSQL will not run as root, so root runs it as `postgres`. The cluster moves to /var/tmp when that user cannot
# enter the checkout or the socket's path would be too long for the kernel (107 bytes).
setup_postgres() {
    [[ ! ${PGHOST:-} ]] || return 0
    compgen -G '/usr/lib/postgresql/*/bin/pg_ctl' >/dev/null || apt_install postgresql
    local bin home=$LOCAL/postgres
    local -a run=()
    bin=$(printf '%s\n' /usr/lib/postgresql/*/bin | sort -V | tail -1)
    ((EUID)) || run=(runuser -u postgres --)
    if ((${#home} > 88)) || ! (cd / && "${run[@]}" test -x "$LOCAL"); then
        home=/var/tmp/$ADDON-$(hash_of <<<"$ROOT")
    fi
    if [[ ! -f $home/data/PG_VERSION ]]; then
        say "Creating a PostgreSQL cluster in $home"
        mkdir -p "$home/data"
        chmod 700 "$home"
        ((EUID)) || chown -R postgres: "$home"
        (cd "$home" && "${run[@]}" "$bin/initdb" -D "$home/data" -U odoo -A trust -E UTF8 --locale=C.UTF-8 >/dev/null)
        "${run[@]}" tee -a "$home/data/postgresql.conf" >/dev/null <<-EOF
			listen_addresses = ''               # the socket is enough, and only its owner and root reach it
			unix_socket_directories = '$home'
			port = 5432
			max_connections = 100
			shared_buffers = 512MB
			effective_cache_size = 2GB
			work_mem = 16MB
			maintenance_work_mem = 256MB
			max_wal_size = 4GB
			random_page_cost = 1.1
		EOF
    fi
    # 9 is the set-up lock: the server must not inherit it.
    (cd "$home" && "${run[@]}" "$bin/pg_ctl" -D "$home/data" status >/dev/null) ||
        (cd "$home" && "${run[@]}" "$bin/pg_ctl" -D "$home/data" -l "$home/postgres.log" -s -w start 9>&-)
    export PGHOST=$home PGPORT=5432 PGUSER=odoo
}

write_config() {
    local addons=$ODOO_HOME/addons
    # An installed Odoo has every addon inside the package, where it looks anyway.
    [[ -d $ODOO_HOME/odoo/addons/sale ]] && addons=$ODOO_HOME/odoo/addons
    mkdir -p "$LOCAL/data" "$LOCAL/log"
    cat >"$LOCAL/odoo.conf.new" <<-EOF
		[options]
		addons_path = $addons,$ROOT
		data_dir = $LOCAL/data
		db_host = $PGHOST
		db_port = ${PGPORT:-5432}
		db_user = ${PGUSER:-}
		http_interface = 127.0.0.1
		http_port = $ODOO_PORT
		list_db = True
		workers = 0
		max_cron_threads = 1
		; a large send may run longer than the two minutes a cron gets by default
		limit_time_real_cron = 1800
	EOF
    mv "$LOCAL/odoo.conf.new" "$LOCAL/odoo.conf"
    export ODOO_RC=$LOCAL/odoo.conf
}

# Runs its arguments one caller at a time: several shells may set up at once.
locked() {
    mkdir -p "$LOCAL"
    exec 9>"$LOCAL/lock"
    flock 9
    local step
    for step; do
        "$step" </dev/null
    done
    exec 9>&-
}

# Everything a script needs to run Odoo.
setup() { locked setup_odoo setup_python link_odoo setup_postgres write_config; }

odoo() { "$PYTHON" -m odoo "$@"; }

# odoo_batch NAME OPTION…: a run that ends by itself and logs to .local/log/NAME.log.
odoo_batch() {
    local log=$LOCAL/log/$1.log
    shift
    rm -f "$log"
    odoo --no-http --stop-after-init --logfile="$log" "$@" 2>&1 | { grep -vE "^(Running as user 'root'|<string>:)" >&2 || true; } || {
        tail -n 50 "$log" >&2
        die "Failed: odoo $*"
    }
}

# check_log NAME: fails on any line above INFO. What Odoo only warns about (a constraint it ignored, a model that nobody
# may read) is a bug all the same.
check_log() {
    ! grep -E '^[0-9-]+ [0-9:,]+ [0-9]+ (WARNING|ERROR|CRITICAL) ' "$LOCAL/log/$1.log" >&2 ||
        die "Not clean: .local/log/$1.log"
}

database_exists() { [[ $(psql -d postgres -Atc "SELECT 1 FROM pg_database WHERE datname = '$1'") ]]; }

drop_database() {
    PGOPTIONS=--client-min-messages=warning dropdb --if-exists --force "$1"
    rm -rf "$LOCAL/data/filestore/$1" "$LOCAL/stamps/$1"
}

# copy_database FROM TO: in the filestore as well.
copy_database() {
    createdb -T "$1" "$2"
    mkdir -p "$LOCAL/data/filestore"
    cp -r "$LOCAL/data/filestore/$1" "$LOCAL/data/filestore/$2"
}

# Sets BASE_DB: a database with what the addon depends on, made once, that demo, test and bench databases start from.
base_database() {
    local depends
    depends=$("$PYTHON" -c 'import ast, sys; print(*ast.literal_eval(sys.stdin.read())["depends"], sep=",")' \
        <"$ROOT/$ADDON/__manifest__.py")
    BASE_DB=${ADDON}_base_$({
        echo "$depends"
        cat "$ODOO_HOME/odoo/release.py"
        [[ ! -e $ODOO_HOME/.git ]] || git -C "$ODOO_HOME" rev-parse HEAD
    } | hash_of)
    ! database_exists "$BASE_DB" || return 0
    say "Installing the addon's dependencies in $BASE_DB (once)"
    local old making=${ADDON}_base_making
    for old in $(psql -d postgres -Atc "SELECT datname FROM pg_database WHERE datname ~ '^${ADDON}_base_'"); do
        drop_database "$old"
    done
    odoo_batch base -d "$making" -i "$depends" --load-language=en_US,zh_CN
    psql -d postgres -qc "ALTER DATABASE $making RENAME TO $BASE_DB"
    mv "$LOCAL/data/filestore/$making" "$LOCAL/data/filestore/$BASE_DB"
}

# addon_database DB MODULE,…: DB exists and holds these modules, the addon among them as the source is now.
addon_database() {
    local db=$1 modules=$2 key
    database_exists "$db" || {
        base_database
        copy_database "$BASE_DB" "$db"
        rm -f "$LOCAL/stamps/$db"
    }
    key=$({
        echo "$modules"
        cd "$ROOT"
        find "$ADDON" -type f ! -path '*/tests/*' ! -name '*.pyc' -print0 | sort -z | xargs -0 sha256sum
    } | hash_of)
    stamp_is "$db" "$key" && return
    say "Installing $modules in $db"
    odoo_batch "$db" -d "$db" -i "$modules" -u "$ADDON"
    check_log "$db"
    stamp "$db" "$key"
}
