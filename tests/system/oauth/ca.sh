# SPDX-License-Identifier: ISC
# shellcheck shell=bash
#
# test_ca FOLDER: a certificate authority of our own, ca.pem, and a server's
# certificate by it for loopback, server.pem with server.key; stray.pem is for
# another name, and other.pem of an authority that nobody knows.

test_ca() {
	(cd "$1" && test_authority ca && test_authority unknown &&
	    test_certificate server ca 'IP:127.0.0.1,DNS:localhost' &&
	    test_certificate stray ca 'DNS:elsewhere.test' &&
	    test_certificate other unknown 'IP:127.0.0.1,DNS:localhost') >"$1/openssl.log" 2>&1
}
test_authority() { # NAME
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
	    -keyout "$1.key" -out "$1.pem" -subj "/CN=$1 of the tests" -days 30 \
	    -addext basicConstraints=critical,CA:true -addext keyUsage=critical,keyCertSign
}
test_certificate() { # NAME CA SUBJECT-ALT-NAMES
	printf 'subjectAltName=%s\n' "$3" >"$1.ext" &&
	    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
	    -keyout "$1.key" -out "$1.csr" -subj "/CN=$1" &&
	    openssl x509 -req -in "$1.csr" -CA "$2.pem" -CAkey "$2.key" -CAcreateserial \
	    -out "$1.pem" -days 30 -extfile "$1.ext"
}
