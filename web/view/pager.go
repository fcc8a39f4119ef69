package view

// pageLink leads from a page of a list to another one. Rel is its link relation (HTML, section
// 4.6.6); an empty Path leads nowhere.
type pageLink struct{ Rel, Name, Path string }

// given returns the path if place is not empty.
func given(place, path string) string {
	if place == "" {
		return ""
	}
	return path
}

// newest leads back from a page that begins at a cursor, and older on to the next one.
func newest(cursor, path string) pageLink { return pageLink{"first", "Newest", given(cursor, path)} }

func older(next, path string) pageLink { return pageLink{"next", "Older", given(next, path)} }
