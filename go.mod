module goldsmith

go 1.26
