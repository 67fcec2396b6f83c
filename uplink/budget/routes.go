package budget

import (
	"net/http"

	"stationd/agent/station"
)

// Routes is the page of who spends what.
func (b *Budget) Routes() []station.Route {
	return []station.Route{{
		Pattern:    "GET /api/v1/line",
		Permission: station.PermWatch,
		Handler: station.Handler(func(w http.ResponseWriter, _ *http.Request) error {
			return station.WriteJSON(w, http.StatusOK, b.Report())
		}),
		Summary: "Who spends what of the line to the parent, over the last seconds",
		Reply:   Report{},
	}}
}
