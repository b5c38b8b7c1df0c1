// Package cut marks the durable steps of firstboot, so that a test can cut the power between any two of them.
//
// In a normal build Point does nothing. Built with the tag "killmatrix" it counts, and kills its own process with SIGKILL
// at the count that the environment names: the real binary, dead in the real place. There, what is random depends on
// its purpose alone, or no two runs could be compared.
package cut
