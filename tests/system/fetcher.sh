#!/bin/bash
# SPDX-License-Identifier: ISC
#
# The fetcher, as it is built and in its sandbox, before servers that lie,
# stall and never end, and before an authd that would send it elsewhere.  All
# of it is in a network of its own, where we say which addresses there are;
# tests/lib/fetcher.py is the parent, authd, the servers and the name server.

. "$(dirname "$0")/../lib/harness.sh"

cd "$work" || exit 1
mkdir -m 777 public

authority() { # NAME
	openssl req -x509 -newkey rsa:2048 -nodes -keyout "$1.key" -out "$1.pem" \
	    -subj "/CN=$1" -days 30 -addext basicConstraints=critical,CA:true \
	    -addext keyUsage=critical,keyCertSign
}
certificate() { # NAME CA SUBJECT-ALT-NAMES DAYS
	printf 'subjectAltName=%s\n' "$3" >"$1.ext"
	openssl req -newkey rsa:2048 -nodes -keyout "$1.key" -out "$1.csr" -subj "/CN=$1" &&
	    openssl x509 -req -in "$1.csr" -CA "$2.pem" -CAkey "$2.key" -CAcreateserial \
	    -out "$1.pem" -days "$4" -extfile "$1.ext"
}
# openssl(1) does not make one that is over already.
over() { # NAME CA: the certificate of that name again, which ended yesterday
	python3 - "$1.pem" "$2.key" <<'EOT'
import datetime, sys
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
with open(sys.argv[1], "rb") as f:
    old = x509.load_pem_x509_certificate(f.read())
with open(sys.argv[2], "rb") as f:
    key = serialization.load_pem_private_key(f.read(), None)
now = datetime.datetime.utcnow()
new = (x509.CertificateBuilder().subject_name(old.subject).issuer_name(old.issuer)
       .public_key(old.public_key()).serial_number(old.serial_number)
       .not_valid_before(now - datetime.timedelta(days=3))
       .not_valid_after(now - datetime.timedelta(days=1)))
for e in old.extensions:
    new = new.add_extension(e.value, e.critical)
with open(sys.argv[1], "wb") as f:
    f.write(new.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
EOT
}
local_names='IP:127.0.0.1,IP:::1,DNS:localhost'
names=$local_names
for name in global private mixed six mapped big rebind; do names=$names,DNS:$name.test; done
{
	authority ca && authority other-ca &&
	    certificate server ca "$names" 30 &&
	    certificate wrong ca DNS:elsewhere.test 30 &&
	    certificate unknown other-ca "$local_names" 30 &&
	    certificate expired ca "$local_names" 1 && over expired ca
} >openssl.log 2>&1 || die 'certificates are made' 'six of them' "$(tail -n 5 openssl.log)"
chmod 644 ./*.pem

# Root makes the namespaces; another user becomes root in one of his own.
space=(unshare -nm)
[ "$(id -u)" -eq 0 ] || space=(unshare -rnm)
"${space[@]}" true 2>unshare.log || die 'there is a network of our own' 'unshare -nm to work' "$(cat unshare.log)"

"${space[@]}" timeout -k 5 200 python3 -W ignore "$top/tests/lib/fetcher.py" "$build" "$work" >lines 2>errors </dev/null
while IFS= read -r line; do
	case $line in
	'ok - '*) passed=$((passed + 1)) ;;
	'not ok - '*) failed=$((failed + 1)) ;;
	esac
	printf '%s\n' "$line"
done <lines
is 'the driver came to its end' '# the end' "$(tail -n 1 lines; tail -n 3 errors)"
done_testing
