#include "agent/mcp/json_rpc.h"

#include <utility>

namespace agent::mcp {
namespace {

using base::Code;
using base::Result;

bool is_id(const json::value& id) {
    return id.is_string() || id.is_int64() || id.is_uint64();
}

}  // namespace

Result<Message> read_message(const json::value& value) {
    const auto wrong = [](const char* what) {
        return base::fail(Code::invalid_argument, "{}", what);
    };
    const json::object* in = value.if_object();
    if (in == nullptr) return wrong("a message is one JSON object; batches are not supported");
    const json::value* version = in->if_contains("jsonrpc");
    if (version == nullptr || *version != "2.0") return wrong("'jsonrpc' must be \"2.0\"");
    const json::value* method = in->if_contains("method");
    const json::value* id = in->if_contains("id");
    if (id != nullptr && !is_id(*id)) return wrong("'id' must be a text or a whole number");

    Message message;
    if (id != nullptr) message.id = *id;
    if (method == nullptr) {
        const bool result = in->contains("result"), error = in->contains("error");
        if (id == nullptr || result == error) {
            return wrong("a message has a 'method', or an 'id' with a 'result' or an 'error'");
        }
        message.kind = Message::Kind::response;
        const char* name = result ? "result" : "error";
        if (!in->at(name).is_object()) return wrong("'result' and 'error' must be objects");
        message.outcome[name] = in->at(name);
        return message;
    }
    if (!method->is_string()) return wrong("'method' must be a text");
    message.kind = id != nullptr ? Message::Kind::request : Message::Kind::notification;
    message.method = method->get_string();
    if (const json::value* params = in->if_contains("params")) {
        if (!params->is_object()) return wrong("'params' must be an object");
        message.params = params->get_object();
    }
    return message;
}

json::object request_of(json::value id, std::string_view method, json::object params) {
    return {{"jsonrpc", "2.0"},
            {"id", std::move(id)},
            {"method", method},
            {"params", std::move(params)}};
}

json::object notification_of(std::string_view method, json::object params) {
    return {{"jsonrpc", "2.0"}, {"method", method}, {"params", std::move(params)}};
}

json::object result_of(const json::value& id, json::object result) {
    return {{"jsonrpc", "2.0"}, {"id", id}, {"result", std::move(result)}};
}

json::object error_of(const json::value& id, const RpcError& error) {
    json::object told{{"code", error.code}, {"message", error.message}};
    if (!error.data.is_null()) told["data"] = error.data;
    json::object out{{"jsonrpc", "2.0"}};
    if (!id.is_null()) out["id"] = id;
    out["error"] = std::move(told);
    return out;
}

}  // namespace agent::mcp
