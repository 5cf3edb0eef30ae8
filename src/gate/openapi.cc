#include "gate/openapi.h"

#include <array>
#include <span>

#include "base/json/json.h"
#include "base/json/schema_of.h"
#include "gate/field_table.h"
#include "gate/openapi_answers.h"

namespace gate {
namespace {

namespace json = base::json;

struct Operation {
    std::string_view method, path, summary, answer;
    std::span<const FieldSpec> (*fields)() = nullptr;  ///< of the request body
    std::string_view answer_type = "application/json";
    bool streams = false;
    std::span<const std::string_view> query = {};
};

constexpr std::array<std::string_view, 2> kPaging = {"limit", "before"};
constexpr std::array<std::string_view, 2> kResponseQuery = {"stream", "starting_after"};
constexpr std::array<std::string_view, 3> kItemsQuery = {"limit", "order", "after"};
constexpr std::array<std::string_view, 1> kStreamQuery = {"after"};

// One line per route of the gateway; a test compares it with the router.
constexpr std::array kOperations = {
    Operation{"post", "/v1/chat/completions", "Continue a conversation.",
              "The answer, or server-sent events with \"stream\": true.", chat_fields,
              "application/json", true},
    Operation{"post", "/v1/completions", "Continue a text.",
              "The answer, or server-sent events with \"stream\": true.", completion_fields,
              "application/json", true},
    Operation{"post", "/v1/embeddings", "Turn texts into vectors.", "One vector per input.",
              embedding_fields},
    Operation{"post", "/v1/responses", "Make a response.",
              "The response, or typed server-sent events with \"stream\": true.", responses_fields,
              "application/json", true},
    Operation{"get", "/v1/responses/{id}", "A stored or running response.",
              "The response, or its events from one on with stream=true.", nullptr,
              "application/json", true, kResponseQuery},
    Operation{"delete", "/v1/responses/{id}", "Forget a response.", "What was deleted."},
    Operation{"post", "/v1/responses/{id}/cancel", "Stop a background response.", "The response."},
    Operation{"get", "/v1/responses/{id}/input_items", "What a response was made from.",
              "A list of items.", nullptr, "application/json", false, kItemsQuery},
    Operation{"get", "/v1/streams/{id}", "Go on reading a resumable stream.",
              "The events after Last-Event-ID, or after the query parameter.", nullptr,
              "text/event-stream", false, kStreamQuery},
    Operation{"delete", "/v1/streams/{id}", "Stop and forget a resumable stream.",
              "What was deleted."},
    Operation{"post", "/v1/rerank", "Order documents by how well they answer a query.",
              "Results, best first.", rerank_fields},
    Operation{"post", "/v1/score", "How well texts answer a query.", "One score per text.",
              score_fields},
    Operation{"post", "/v1/caches", "Compute a prefix once and keep it.", "The kept prefix.",
              cache_fields},
    Operation{"get", "/v1/caches", "List the kept prefixes.", "The kept prefixes."},
    Operation{"delete", "/v1/caches/{id}", "Drop a kept prefix.", "What was deleted."},
    Operation{"post", "/tokenize", "Split a text into token ids.", "Token ids.", tokenize_fields},
    Operation{"post", "/detokenize", "Join token ids to a text.", "The text.", detokenize_fields},
    Operation{"get", "/v1/models", "List the models.", "The models."},
    Operation{"get", "/v1/models/{id}", "One model.", "The model."},
    Operation{"get", "/healthz", "Is the process alive?", "ok", nullptr, "text/plain"},
    Operation{"get", "/readyz", "Can it take work?", "ready", nullptr, "text/plain"},
    Operation{"get", "/metrics", "Figures for Prometheus.", "Text exposition format.", nullptr,
              "text/plain"},
    Operation{"get", "/openapi.json", "This document.", "This document."},
    Operation{"get", "/admin/v1/stats", "Current figures.", "One sample."},
    Operation{"get", "/admin/v1/stats/history", "Figures of the last 15 minutes.", "Samples."},
    Operation{"get", "/admin/v1/stats/stream", "One sample a second.", "Server-sent events.",
              nullptr, "text/event-stream"},
    Operation{"get", "/admin/v1/requests", "The last requests.", "Newest first.", nullptr,
              "application/json", false, kPaging},
    Operation{"get", "/admin/v1/requests/{id}", "One request with its spans.", "The request."},
    Operation{"get", "/admin/v1/models", "The models in detail.", "The models."},
    Operation{"get", "/admin/v1/engine", "Every engine's figures.",
              "Models with state and figures, and their total."},
    Operation{"post", "/admin/v1/models/{id}/load", "Load a model into memory.",
              "The model, once it is ready."},
    Operation{"post", "/admin/v1/models/{id}/unload", "Take a model out of memory.",
              "The model, once it is out."},
    Operation{"get", "/admin/v1/system", "What runs here.", "Version, machine, configuration."},
};

json::object field_schema(const FieldSpec& field) {
    json::array types;
    const auto add = [&](JsonType type, std::string_view name) {
        if ((field.types & type) != 0) types.push_back(json::string(name));
    };
    add(kBoolean, "boolean");
    add(kNumber, "number");
    if ((field.types & kNumber) == 0) add(kInteger, "integer");
    add(kString, "string");
    add(kArray, "array");
    add(kObject, "object");
    json::object schema{{"description", field.text}};
    if (!types.empty()) {
        types.push_back("null");  // null counts as absent everywhere
        schema["type"] = std::move(types);
    }
    if (field.minimum < field.maximum) {
        schema["minimum"] = field.minimum;
        schema["maximum"] = field.maximum;
    }
    return schema;
}

json::object body_schema(std::span<const FieldSpec> fields) {
    json::object properties;
    json::array required;
    for (const FieldSpec& field : fields) {
        if (field.use == Use::refused) continue;
        properties[field.name] = field_schema(field);
        if (field.use == Use::required) required.push_back(json::string(field.name));
    }
    return {{"type", "object"},
            {"properties", std::move(properties)},
            {"required", std::move(required)},
            {"additionalProperties", false}};
}

json::object content(std::string_view type, json::object schema) {
    return {{type, json::object{{"schema", std::move(schema)}}}};
}

json::object parameter(std::string_view place, std::string_view name) {
    return {{"name", name},
            {"in", place},
            {"required", place == "path"},
            {"schema", json::object{{"type", name == "limit" ? "integer" : "string"}}}};
}

json::object operation_json(const Operation& operation) {
    json::object schema;
    const auto example = base::parse_json(example_answer(operation.method, operation.path));
    if (example) schema = base::schema_of(*example).get_object();
    json::object answers = content(operation.answer_type, std::move(schema));
    if (example) answers[operation.answer_type].get_object()["example"] = *example;
    if (operation.streams) answers["text/event-stream"] = json::object{{"schema", json::object{}}};
    json::object out{
        {"summary", operation.summary},
        {"responses",
         json::object{
             {"200", json::object{{"description", operation.answer}, {"content", answers}}},
             {"default",
              json::object{{"description", "What went wrong and what to do."},
                           {"content", content("application/json",
                                               {{"$ref", "#/components/schemas/Error"}})}}}}}};
    json::array parameters;
    if (operation.path.find("{id}") != std::string_view::npos) {
        parameters.push_back(parameter("path", "id"));
    }
    for (const std::string_view name : operation.query) {
        parameters.push_back(parameter("query", name));
    }
    if (!parameters.empty()) out["parameters"] = std::move(parameters);
    if (operation.fields != nullptr) {
        out["requestBody"] =
            json::object{{"required", true},
                         {"content", content("application/json", body_schema(operation.fields()))}};
    }
    return out;
}

json::object error_schema() {
    const json::object text{{"type", "string"}};
    const json::object text_or_null{{"type", json::array{"string", "null"}}};
    return {{"type", "object"},
            {"properties",
             json::object{
                 {"error", json::object{{"type", "object"},
                                        {"properties", json::object{{"message", text},
                                                                    {"type", text},
                                                                    {"param", text_or_null},
                                                                    {"code", text_or_null}}}}}}}};
}

}  // namespace

std::string openapi_json(std::string_view version, const json::object& more_paths) {
    json::object paths = more_paths;
    for (const Operation& operation : kOperations) {
        json::value& path = paths[operation.path];
        if (!path.is_object()) path = json::object{};
        path.get_object()[operation.method] = operation_json(operation);
    }
    return base::to_text(json::object{
        {"openapi", "3.1.0"},
        {"info", json::object{{"title", "Dougong"}, {"version", version}}},
        {"paths", std::move(paths)},
        {"components", json::object{{"schemas", json::object{{"Error", error_schema()}}}}}});
}

}  // namespace gate
