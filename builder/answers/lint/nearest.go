package lint

import "strings"

// Nearest returns the candidate that name was most likely meant to be, compared without case; ok is false when nothing is
// near enough to be worth a suggestion.
func Nearest(name string, candidates []string) (best string, ok bool) {
	name = strings.ToUpper(name)
	limit := 2 + len(name)/8
	for _, c := range candidates {
		if d := distance(name, strings.ToUpper(c), limit); d <= limit {
			best, ok, limit = c, true, d-1
		}
	}
	return best, ok
}

// distance counts the letters to insert, delete, change or swap with a neighbour; it may stop early above limit.
func distance(a, b string, limit int) int {
	if abs(len(a)-len(b)) > limit {
		return limit + 1
	}
	before, prev, cur := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		cur[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			cur[j] = min(prev[j]+1, cur[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				cur[j] = min(cur[j], before[j-2]+1)
			}
		}
		before, prev, cur = prev, cur, before
	}
	return prev[len(b)]
}

func abs(n int) int { return max(n, -n) }
