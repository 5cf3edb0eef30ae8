#include "app/memory_extractor.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "app/memory_text.h"
#include "app/model_endpoint.h"
#include "base/json/json.h"
#include "base/json/object_reader.h"

namespace app {
namespace {

using base::Code;
using base::Result;
using memory::facts::Assertion;
namespace json = base::json;

constexpr std::size_t kFactsMax = 32, kNameBytesMax = 256, kTextBytesMax = 16u << 10;

constexpr std::string_view kInstructions =
    "List the lasting facts that the text states: about whom or what, which relation, which value. "
    "Copy names and values from the text word for word; write I or my as the speaker's name. Name "
    "relations in English with underscores, as lives_in, works_at, likes, has_child. Leave out "
    "questions, guesses, wishes, reported speech and small talk. `single` is true where there can "
    "be one value at a time. `ends` is true where the text says that it is over. `since` is a date "
    "as 2026-11-30 where the text says one, else empty.";

json::object text_schema() {
    return {{"type", "string"}, {"maxLength", kNameBytesMax}};
}

json::object answer_schema() {
    json::object one = {{"type", "object"},
                        {"additionalProperties", false},
                        {"required", {"subject", "relation", "value", "single", "ends", "since"}},
                        {"properties", json::object{{"subject", text_schema()},
                                                    {"relation", text_schema()},
                                                    {"value", text_schema()},
                                                    {"single", json::object{{"type", "boolean"}}},
                                                    {"ends", json::object{{"type", "boolean"}}},
                                                    {"since", text_schema()}}}};
    return {{"type", "object"},
            {"additionalProperties", false},
            {"required", json::array{"facts"}},
            {"properties", json::object{{"facts", json::object{{"type", "array"},
                                                               {"maxItems", kFactsMax},
                                                               {"items", std::move(one)}}}}}};
}

std::string lower(std::string_view text) {
    std::string out(text);
    std::ranges::transform(out, out.begin(), [](char c) {
        return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
    });
    return out;
}

class EndpointExtractor final : public memory::facts::Extractor {
public:
    explicit EndpointExtractor(EndpointExtractorOptions options)
        : endpoint_({.url = std::move(options.url),
                     .model = std::move(options.model),
                     .api_key = std::move(options.api_key),
                     .timeout = options.timeout,
                     .http = std::move(options.http)}),
          tokens_max_(options.tokens_max),
          id_("chat/" + endpoint_.model()) {}

    const std::string& id() const override { return id_; }

    Result<std::vector<Assertion>> extract(std::string_view text,
                                           const memory::facts::ExtractContext& context) override {
        if (text.size() > kTextBytesMax) {
            return base::fail(Code::payload_too_large, "a text of {} bytes; {} are read at most",
                              text.size(), kTextBytesMax);
        }
        const json::value answer = DG_TRY(ask(text, context));
        const json::value* facts =
            answer.is_object() ? answer.get_object().if_contains("facts") : nullptr;
        if (facts == nullptr || !facts->is_array()) {
            return base::fail(Code::internal, "{} answered without a list of facts",
                              endpoint_.model());
        }
        std::vector<Assertion> said;
        const std::string words = lower(text);
        for (const json::value& one : facts->get_array()) {
            if (!one.is_object() || said.size() == kFactsMax) continue;
            if (auto made = assertion(one.get_object(), words, context)) {
                said.push_back(std::move(*made));
            }
        }
        return said;
    }

private:
    Result<json::value> ask(std::string_view text,
                            const memory::facts::ExtractContext& context) const {
        const std::string who = context.speaker.empty() ? "unknown" : context.speaker;
        return ask_for_json(endpoint_,
                            {.instructions = kInstructions,
                             .text = fmt::format("Speaker: {}\nDate: {}\nText: {}", who,
                                                 time_text(context.said_at_unix_ms), text),
                             .name = "facts",
                             .schema = answer_schema(),
                             .tokens_max = tokens_max_});
    }

    /// Nothing where it names what the text does not.
    static std::optional<Assertion> assertion(const json::object& one, const std::string& words,
                                              const memory::facts::ExtractContext& context) {
        Assertion said;
        std::string since;
        bool single = false;
        base::ObjectReader in(one);
        in.text("subject", said.subject, kNameBytesMax);
        in.text("relation", said.predicate, kNameBytesMax);
        in.text("value", said.object, kNameBytesMax);
        in.flag("single", single);
        in.flag("ends", said.ends);
        in.text("since", since, kNameBytesMax);
        if (!in.done()) return std::nullopt;
        const auto stands = [&](const std::string& name) {
            return !name.empty() && (words.find(lower(name)) != std::string::npos ||
                                     lower(name) == lower(context.speaker));
        };
        if (!stands(said.subject) || !stands(said.object) || said.predicate.empty()) {
            return std::nullopt;
        }
        said.scope = context.scope;
        said.cardinality =
            single ? memory::facts::Cardinality::one : memory::facts::Cardinality::many;
        said.confidence = .7f;
        said.valid_from_unix_ms = context.said_at_unix_ms;
        if (const auto time = parse_time("since", since); time && *time > 0) {
            said.valid_from_unix_ms = *time;
        }
        said.sources = {{.source = context.source}};
        return said;
    }

    const ModelEndpoint endpoint_;
    const std::uint32_t tokens_max_;
    const std::string id_;
};

}  // namespace

Result<std::shared_ptr<memory::facts::Extractor>> make_endpoint_extractor(
    EndpointExtractorOptions options) {
    DG_TRY(check_endpoint({.option = "memory.facts",
                           .url = options.url,
                           .model = options.model,
                           .expected = "rules, off, or the URL of an API up to and with /v1",
                           .does = "reads"}));
    return std::make_shared<EndpointExtractor>(std::move(options));
}

}  // namespace app
