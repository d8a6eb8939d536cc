// Plays against a real service with the client that oapi-codegen makes.
package main

import (
	"context"
	"encoding/json"
	"net/http"
	"os"

	"example.com/play/hitl"
)

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func client(token string) *hitl.ClientWithResponses {
	authorize := func(_ context.Context, call *http.Request) error {
		if token != "" {
			call.Header.Set("Authorization", "Bearer "+token)
		}
		return nil
	}
	return must(hitl.NewClientWithResponses(os.Getenv("HITL_URL"), hitl.WithRequestEditorFn(authorize)))
}

func main() {
	ctx := context.Background()
	credentials := hitl.Login{Username: os.Getenv("HITL_EMAIL"), Password: os.Getenv("HITL_PASSWORD")}
	signedIn := must(client("").LoginWithFormdataBodyWithResponse(ctx, credentials))
	agent, person := client(os.Getenv("HITL_KEY")), client(signedIn.JSON200.AccessToken)

	key, state, limit, comment := "go-1", hitl.RequestStatePending, 100, "from Go"
	question := hitl.CreateRequest{Title: "Asked in Go", Context: map[string]any{"cost": 42.5}}
	made := must(agent.CreateRequestWithResponse(ctx, &hitl.CreateRequestParams{IdempotencyKey: &key}, question)).JSON201
	page := must(person.ListRequestsWithResponse(ctx, &hitl.ListRequestsParams{State: &state, Limit: &limit})).JSON200
	listed := false
	for _, item := range page.Items {
		listed = listed || item.Id == made.Id
	}
	decision := hitl.Approve
	answer := hitl.Answer{Decision: &decision, Comment: &comment}
	answered := must(person.RespondWithResponse(ctx, made.Id, nil, answer)).JSON200
	certificate := must(agent.GetCertificateWithResponse(ctx, made.Id)).JSON200
	refused := must(person.RespondWithResponse(ctx, made.Id, nil, answer)).ApplicationproblemJSON409
	var later hitl.Problem
	if err := json.Unmarshal([]byte(`{"code":"later.added"}`), &later); err != nil || later.Code != "later.added" {
		panic("a code that this client does not know")
	}

	must(os.Stdout.Write(must(json.Marshal(map[string]any{
		"id":          made.Id,
		"listed":      listed,
		"decision":    answered.Response.Decision,
		"comment":     answered.Response.Comment,
		"certificate": certificate.Certificate,
		"refused":     map[string]any{"status": refused.Status, "code": refused.Code, "detail": refused.Detail},
	}))))
}
