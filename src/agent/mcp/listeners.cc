#include "agent/mcp/listeners.h"

#include <utility>

#include "agent/mcp/json_rpc.h"

namespace agent::mcp {
namespace {

constexpr const char* kSubscription = "io.modelcontextprotocol/subscriptionId";

json::object tagged(json::object message, const json::value& request) {
    json::value& params = message["params"];
    if (!params.is_object()) params = json::object();
    params.get_object()["_meta"] = json::object{{kSubscription, request}};
    return message;
}

}  // namespace

bool ChangeFilter::wants(const Change& change) const {
    switch (change.kind) {
        case Change::Kind::tools:
            return tools;
        case Change::Kind::prompts:
            return prompts;
        case Change::Kind::resources:
            return resources;
        case Change::Kind::resource:
            return uris.contains(change.uri);
    }
    return false;
}

ChangeFilter read_filter(const json::object& notifications) {
    const auto flag = [&](const char* name) {
        const json::value* value = notifications.if_contains(name);
        return value != nullptr && value->is_bool() && value->get_bool();
    };
    ChangeFilter filter{.tools = flag("toolsListChanged"),
                        .prompts = flag("promptsListChanged"),
                        .resources = flag("resourcesListChanged"),
                        .uris = {}};
    const auto texts = [&](const char* name, std::set<std::string>& out) {
        const json::value* all = notifications.if_contains(name);
        if (all == nullptr || !all->is_array()) return;
        for (const json::value& text : all->get_array()) {
            if (text.is_string()) out.emplace(text.get_string());
        }
    };
    texts("resourceSubscriptions", filter.uris);
    texts("taskIds", filter.tasks);
    return filter;
}

json::object filter_json(const ChangeFilter& filter) {
    json::object out;
    if (filter.tools) out["toolsListChanged"] = true;
    if (filter.prompts) out["promptsListChanged"] = true;
    if (filter.resources) out["resourcesListChanged"] = true;
    if (!filter.uris.empty()) {
        out["resourceSubscriptions"] = json::array(filter.uris.begin(), filter.uris.end());
    }
    if (!filter.tasks.empty()) {
        out["taskIds"] = json::array(filter.tasks.begin(), filter.tasks.end());
    }
    return out;
}

json::object change_message(const Change& change) {
    switch (change.kind) {
        case Change::Kind::tools:
            return notification_of("notifications/tools/list_changed", {});
        case Change::Kind::prompts:
            return notification_of("notifications/prompts/list_changed", {});
        case Change::Kind::resources:
            return notification_of("notifications/resources/list_changed", {});
        case Change::Kind::resource:
            break;
    }
    return notification_of("notifications/resources/updated", {{"uri", change.uri}});
}

Listeners::Id Listeners::add(const json::value& request, ChangeFilter filter,
                             std::shared_ptr<Out> out) {
    const std::lock_guard lock(mutex_);
    out->send(tagged(notification_of("notifications/subscriptions/acknowledged",
                                     {{"notifications", filter_json(filter)}}),
                     request));
    all_.emplace(next_, Listener{request, std::move(filter), std::move(out)});
    return next_++;
}

void Listeners::remove(Id id) {
    const std::lock_guard lock(mutex_);
    all_.erase(id);
}

void Listeners::tell(const Change& change) {
    const std::lock_guard lock(mutex_);
    for (const auto& [id, listener] : all_) {
        if (!listener.filter.wants(change)) continue;
        listener.out->send(tagged(change_message(change), listener.request));
    }
}

void Listeners::tell_task(const std::string& id, const json::object& task) {
    const std::lock_guard lock(mutex_);
    for (const auto& [number, listener] : all_) {
        if (!listener.filter.tasks.contains(id)) continue;
        listener.out->send(tagged(notification_of("notifications/tasks", task), listener.request));
    }
}

void Listeners::stop() {
    const std::lock_guard lock(mutex_);
    for (const auto& [id, listener] : all_) {
        json::object result{{"resultType", "complete"},
                            {"_meta", json::object{{kSubscription, listener.request}}}};
        listener.out->finish(result_of(listener.request, std::move(result)), 200);
    }
    all_.clear();
}

}  // namespace agent::mcp
