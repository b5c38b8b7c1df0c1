// Package killmatrix holds the proofs that need the whole binary on the rewriters' fixtures, with a real MariaDB and a real
// OVSDB: firstboot survives a cut at any point, and does more than the article's script. It has tests only: see Makefile,
// target integration.
package killmatrix
