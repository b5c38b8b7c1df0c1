// Package install runs a recipe inside a tree: packages, files, steps, and what goldsmith knows of single stacks. One
// file per stack; each knows its configuration keys and nothing of mounts, caches or images.
package install
