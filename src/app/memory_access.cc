#include "app/memory_access.h"

#include <algorithm>
#include <optional>
#include <span>
#include <utility>

#include "app/memories.h"
#include "app/server_client.h"
#include "memory/http/memory_routes.h"

namespace app {
namespace {

using base::Code;
using base::Result;
namespace json = base::json;

class ServerAccess final : public MemoryAccess {
public:
    explicit ServerAccess(const Args& args) : client_(args) {}
    Result<json::object> call(const std::string& method, const std::string& path,
                              const json::object* body) override {
        return client_.call(method, path, body);
    }
    Result<json::object> upload(const std::string& path, std::string bytes) override {
        std::size_t sent = 0;
        return client_.upload(path, [&](std::span<char> room) -> std::optional<std::size_t> {
            const std::size_t count = std::min(room.size(), bytes.size() - sent);
            std::copy_n(bytes.data() + sent, count, room.data());
            sent += count;
            return count;
        });
    }
    Result<void> settle() override { return {}; }
    bool local() const override { return false; }

private:
    ServerClient client_;
};

class FolderAccess final : public MemoryAccess {
public:
    FolderAccess(std::unique_ptr<memory::MemoryStore> store, std::string tenant)
        : store_(std::move(store)),
          api_(*store_, {.threads = 1, .queue_max = 1}),
          tenant_(std::move(tenant)) {}

    Result<json::object> call(const std::string& method, const std::string& path,
                              const json::object* body) override {
        return send(method, path, body == nullptr ? "" : base::to_text(*body));
    }
    Result<json::object> upload(const std::string& path, std::string bytes) override {
        return send("PUT", path, std::move(bytes));
    }
    Result<void> settle() override { return store_->settle(); }
    bool local() const override { return true; }

private:
    Result<json::object> send(const std::string& method, const std::string& path,
                              std::string body) {
        base::http::Request request;
        request.method = method;
        const std::size_t question = path.find('?');
        request.path = DG_TRY(base::http::percent_decode(path.substr(0, question)));
        if (question != std::string::npos) request.query = path.substr(question + 1);
        if (!tenant_.empty()) request.headers.add("X-Dougong-Tenant", tenant_);
        request.body = std::move(body);
        const auto answer = api_.call(std::move(request));
        if (answer.status >= 300) {
            return std::unexpected(refusal("the folder of memories", answer.status, answer.body));
        }
        return DG_TRY(base::parse_json(answer.body)).as_object();
    }

    std::unique_ptr<memory::MemoryStore> store_;
    memory::MemoryApi api_;
    const std::string tenant_;
};

}  // namespace

Result<std::unique_ptr<MemoryAccess>> MemoryAccess::open(const Args& args, const Program& program) {
    if (args.has("--url")) return std::make_unique<ServerAccess>(args);
    auto store = open_memory(program);
    if (store) {
        return std::make_unique<FolderAccess>(std::move(*store),
                                              args.value("--tenant").value_or(""));
    }
    // A server has the folder: it is asked where servers are by default.
    if (store.error().code != Code::failed_precondition) {
        return std::unexpected(std::move(store).error());
    }
    std::unique_ptr<MemoryAccess> server = std::make_unique<ServerAccess>(args);
    if (server->call("GET", "/v1/memories/stats")) return server;
    return std::unexpected(std::move(store).error().with_context(
        "no server answers at http://127.0.0.1:8080 (name it with --url), and"));
}

std::vector<OptionSpec> memory_options() {
    return {{"--url", "URL", "A running server instead of the folder on this machine."},
            {"--tenant", "NAME", "Whose memories [default: default]."},
            {"--json", "", "The answer as JSON."}};
}

}  // namespace app
