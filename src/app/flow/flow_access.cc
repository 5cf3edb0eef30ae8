#include "app/flow/flow_access.h"

#include <optional>

#include "app/agents/local_models.h"
#include "app/flow/flows.h"
#include "app/memories.h"
#include "app/sandboxes.h"
#include "app/server_client.h"
#include "base/http/local_answer.h"
#include "base/metrics/metrics.h"
#include "sphere/sphere.h"

namespace app {
namespace {

using base::Code;
using base::Result;
namespace json = base::json;

class ServerAccess final : public FlowAccess {
public:
    explicit ServerAccess(const Args& args) : client_(args) {}
    Result<json::object> call(const std::string& method, const std::string& path,
                              const json::object* body) override {
        return client_.call(method, path, body);
    }
    Result<json::object> post(const std::string& path, const std::string& content_type,
                              std::string text) override {
        auto request = client_.request("POST", path);
        request.headers.emplace_back("Content-Type", content_type);
        request.body = std::move(text);
        return DG_TRY(base::parse_json(DG_TRY(download(std::move(request))))).as_object();
    }
    Result<std::string> fetch(const std::string& path) override {
        return download(client_.request("GET", path));
    }
    Result<void> watch(const std::string& run,
                       const std::function<bool(const json::object&)>& on_event,
                       const std::function<bool()>& cancelled) override {
        return client_.stream(client_.request("GET", "/v1/runs/" + run + "/watch"), on_event,
                              cancelled);
    }
    bool local() const override { return false; }

private:
    Result<std::string> download(base::HttpClient::Request request) {
        std::string answer;
        DG_TRY(client_.download(std::move(request), [&](std::string_view bytes) -> Result<void> {
            answer += bytes;
            return {};
        }));
        return answer;
    }

    ServerClient client_;
};

class FolderAccess final : public FlowAccess {
public:
    FolderAccess(const Program& program, std::string tenant, bool perform, Models models)
        : tenant_(std::move(tenant)), perform_(perform), models_(std::move(models)) {
        if (!models_) {
            models_ = [this, &program]() -> Result<ModelEndpoint::Options> {
                local_models_ = DG_TRY(LocalModels::open(program));
                return ModelEndpoint::Options{
                    .url = local_models_->url(), .model = {}, .timeout = std::chrono::minutes(10)};
            };
        }
        if (!perform) return;
        // What a step cannot have here it is told when it asks.
        if (auto opened = Sandboxes::open(program, metrics_)) sandboxes_ = std::move(*opened);
        if (auto opened = Memories::open(program, metrics_)) memories_ = std::move(*opened);
    }
    ~FolderAccess() override {
        if (flows_) flows_->stop();
        if (sandboxes_) sandboxes_->stop();
        if (memories_) memories_->stop();
    }
    Result<void> start(const Program& program) {
        flows_ = DG_TRY(Flows::open(
            program, {.sphere = sandboxes_ ? sandboxes_->sphere_as("flow") : nullptr,
                      .memories = memories_ ? memories_->store() : nullptr,
                      .sandbox_tools = sandboxes_ ? sandboxes_->tools() : nullptr,
                      .open_models = models_,
                      .scrub = sandboxes_ ? sandboxes_->scrubber()
                                          : std::function<std::string(std::string_view)>(),
                      .perform = perform_}));
        flows_->register_routes(router_);
        return {};
    }

    Result<json::object> call(const std::string& method, const std::string& path,
                              const json::object* body) override {
        return send(method, path, "application/json", body == nullptr ? "" : base::to_text(*body));
    }
    Result<json::object> post(const std::string& path, const std::string& content_type,
                              std::string text) override {
        return send("POST", path, content_type, std::move(text));
    }
    Result<std::string> fetch(const std::string& path) override {
        return DG_TRY(ask_whole("GET", path, "", ""));
    }
    Result<void> watch(const std::string& run,
                       const std::function<bool(const json::object&)>& on_event,
                       const std::function<bool()>& cancelled) override {
        const auto answer = DG_TRY(ask("GET", "/v1/runs/" + run + "/watch", "", ""));
        std::string text;
        while (!cancelled()) {
            const auto more = answer->next();
            if (!more) break;
            text += *more;
            for (std::size_t end; (end = text.find("\n\n")) != std::string::npos;) {
                const std::size_t data = text.find("data: ");
                if (data < end) {
                    const auto event =
                        DG_TRY(base::parse_json(text.substr(data + 6, end - data - 6)));
                    if (event.is_object() && !on_event(event.get_object())) {
                        answer->close();
                        return {};
                    }
                }
                text.erase(0, end + 2);
            }
        }
        answer->close();
        const int status = answer->status();
        if (status < 300) return {};
        return std::unexpected(refusal("the folder of workflows", status, answer->take().body));
    }
    bool local() const override { return true; }

private:
    Result<std::shared_ptr<base::http::LocalAnswer>> ask(const std::string& method,
                                                         const std::string& path,
                                                         const std::string& content_type,
                                                         std::string body) {
        base::http::Request request;
        request.method = method;
        const std::size_t question = path.find('?');
        request.path = DG_TRY(base::http::percent_decode(path.substr(0, question)));
        if (question != std::string::npos) request.query = path.substr(question + 1);
        if (!tenant_.empty()) request.headers.add("X-Dougong-Tenant", tenant_);
        if (!content_type.empty()) request.headers.add("Content-Type", content_type);
        request.body = std::move(body);
        const auto match = router_.match(method, request.path);
        if (match.handler == nullptr) {
            return base::fail(Code::not_found, "there is no {} {}", method, request.path);
        }
        request.params = match.params;
        request.route = match.route;
        auto answer = std::make_shared<base::http::LocalAnswer>();
        (*match.handler)(request, answer);
        return answer;
    }
    Result<json::object> send(const std::string& method, const std::string& path,
                              const std::string& content_type, std::string body) {
        return DG_TRY(
                   base::parse_json(DG_TRY(ask_whole(method, path, content_type, std::move(body)))))
            .as_object();
    }
    Result<std::string> ask_whole(const std::string& method, const std::string& path,
                                  const std::string& content_type, std::string body) {
        auto answer = DG_TRY(ask(method, path, content_type, std::move(body)))->take();
        if (answer.status < 300) return std::move(answer.body);
        return std::unexpected(refusal("the folder of workflows", answer.status, answer.body));
    }

    const std::string tenant_;
    const bool perform_;
    Models models_;
    std::unique_ptr<LocalModels> local_models_;
    base::metrics::Registry metrics_;
    std::unique_ptr<Sandboxes> sandboxes_;
    std::unique_ptr<Memories> memories_;
    std::unique_ptr<Flows> flows_;
    base::http::Router router_;
};

}  // namespace

Result<std::unique_ptr<FlowAccess>> FlowAccess::open(const Args& args, const Program& program,
                                                     bool perform, Models models) {
    if (args.has("--url")) return std::make_unique<ServerAccess>(args);
    auto folder = std::make_unique<FolderAccess>(program, args.value("--tenant").value_or(""),
                                                 perform, std::move(models));
    const auto started = folder->start(program);
    if (started) return folder;
    // A server has the folder: it is asked where servers are by default.
    if (started.error().code != Code::failed_precondition) {
        return std::unexpected(started.error());
    }
    std::unique_ptr<FlowAccess> server = std::make_unique<ServerAccess>(args);
    if (server->call("GET", "/v1/flow")) return server;
    return std::unexpected(base::Error(started.error())
                               .with_context("no server answers at http://127.0.0.1:8080 (name it "
                                             "with --url), and"));
}

std::vector<OptionSpec> flow_options() {
    return {{"--url", "URL", "A running server instead of the folder on this machine."},
            {"--tenant", "NAME", "Whose workflows [default: default]."},
            {"--json", "", "The answer as JSON."}};
}

}  // namespace app
