// Package killmatrix holds the proof that firstboot survives a cut at any point. It has tests only: see Makefile, target
// integration.
package killmatrix
