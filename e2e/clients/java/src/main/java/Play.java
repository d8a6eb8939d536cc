import com.fasterxml.jackson.databind.ObjectMapper;
import hitl.ApiClient;
import hitl.ApiException;
import hitl.api.AuthApi;
import hitl.api.RequestsApi;
import hitl.model.Answer;
import hitl.model.CreateRequest;
import hitl.model.Decision;
import hitl.model.Problem;
import hitl.model.RequestState;
import java.util.Map;

/** Plays against a real service with the client that openapi-generator makes. */
public class Play {
  private static ApiClient client(String token) {
    ApiClient client = new ApiClient();
    client.updateBaseUri(System.getenv("HITL_URL"));
    if (token != null) client.setRequestInterceptor(call -> call.header("Authorization", "Bearer " + token));
    return client;
  }

  public static void main(String[] arguments) throws Exception {
    var signedIn =
        new AuthApi(client(null))
            .login(System.getenv("HITL_EMAIL"), System.getenv("HITL_PASSWORD"), null, null, null, null, null);
    var agent = new RequestsApi(client(System.getenv("HITL_KEY")));
    var person = new RequestsApi(client(signedIn.getAccessToken()));

    var question = new CreateRequest().title("Asked in Java").context(Map.of("cost", 42.5));
    var made = agent.createRequest(question, "java-1", null);
    var page = person.listRequests(
        RequestState.PENDING, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, 100, null, null, null);
    var answer = new Answer().decision(Decision.APPROVE).comment("from Java");
    var answered = person.respond(made.getId(), answer, null, null);
    var certificate = agent.getCertificate(made.getId());
    Problem refused = null;
    try {
      person.respond(made.getId(), answer, null, null);
    } catch (ApiException exception) {
      refused = ApiClient.createDefaultObjectMapper().readValue(exception.getResponseBody(), Problem.class);
    }
    var later = "{\"type\":\"about:blank\",\"title\":\"Conflict\",\"status\":409,\"code\":\"later.added\",\"detail\":\"x\",\"request_id\":\"1\"}";
    var unknown = ApiClient.createDefaultObjectMapper().readValue(later, Problem.class);
    if (!"later.added".equals(unknown.getCode())) throw new IllegalStateException("a code that this client does not know");
    System.out.println(
        new ObjectMapper()
            .writeValueAsString(
                Map.of(
                    "id", made.getId().toString(),
                    "listed", page.getItems().stream().anyMatch(item -> item.getId().equals(made.getId())),
                    "decision", answered.getResponse().getDecision(),
                    "comment", answered.getResponse().getComment(),
                    "certificate", certificate.getCertificate(),
                    "refused",
                        Map.of(
                            "status", refused.getStatus(),
                            "code", refused.getCode(),
                            "detail", refused.getDetail()))));
  }
}
