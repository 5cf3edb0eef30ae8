#include "app/memory_summarizer.h"

#include <fmt/format.h>

#include <string_view>
#include <utility>
#include <vector>

#include "app/model_endpoint.h"
#include "base/json/json.h"

namespace app {
namespace {

using base::Code;
using base::Result;
using memory::compress::Sentence;
namespace json = base::json;

constexpr std::size_t kSentenceBytesMax = 2'000, kTextsBytesMax = 64u << 10;

constexpr std::string_view kInstructions =
    "Summarise the numbered memories, which follow each other in time. Keep names, numbers, dates, "
    "decisions and promises as they are written; leave out small talk; add nothing. With each "
    "sentence give the numbers of the memories that it is of.";

json::object answer_schema(std::size_t texts, std::uint32_t sentences_max) {
    json::object number = {
        {"type", "integer"}, {"minimum", 1}, {"maximum", static_cast<std::uint64_t>(texts)}};
    json::object properties = {
        {"text", json::object{{"type", "string"}, {"maxLength", kSentenceBytesMax}}},
        {"of", json::object{{"type", "array"},
                            {"minItems", 1},
                            {"maxItems", static_cast<std::uint64_t>(texts)},
                            {"items", std::move(number)}}}};
    json::object one = {{"type", "object"},
                        {"additionalProperties", false},
                        {"required", {"text", "of"}},
                        {"properties", std::move(properties)}};
    json::object list = {
        {"type", "array"}, {"minItems", 1}, {"maxItems", sentences_max}, {"items", std::move(one)}};
    return {{"type", "object"},
            {"additionalProperties", false},
            {"required", json::array{"sentences"}},
            {"properties", json::object{{"sentences", std::move(list)}}}};
}

class EndpointSummarizer final : public memory::compress::Summarizer {
public:
    explicit EndpointSummarizer(EndpointSummarizerOptions options)
        : endpoint_({.url = std::move(options.url),
                     .model = std::move(options.model),
                     .api_key = std::move(options.api_key),
                     .timeout = options.timeout,
                     .http = std::move(options.http)}),
          tokens_max_(options.tokens_max),
          id_("chat/" + endpoint_.model()) {}

    const std::string& id() const override { return id_; }

    Result<std::vector<Sentence>> summarize(std::span<const std::string> texts,
                                            std::uint32_t sentences_max) override {
        std::string listed;
        for (std::size_t i = 0; i < texts.size(); ++i) {
            listed += fmt::format("{}. {}\n", i + 1, texts[i]);
        }
        if (listed.size() > kTextsBytesMax) {
            return base::fail(Code::payload_too_large,
                              "memories of {} bytes; {} are given to a model at most",
                              listed.size(), kTextsBytesMax);
        }
        return sentences_of(
            DG_TRY(ask_for_json(endpoint_, {.instructions = kInstructions,
                                            .text = std::move(listed),
                                            .name = "summary",
                                            .schema = answer_schema(texts.size(), sentences_max),
                                            .tokens_max = tokens_max_})));
    }

private:
    Result<std::vector<Sentence>> sentences_of(const json::value& answer) const {
        const auto bad = [&] {
            return base::fail(Code::internal, "{} answered without sentences and their sources",
                              endpoint_.model());
        };
        const json::value* list =
            answer.is_object() ? answer.get_object().if_contains("sentences") : nullptr;
        if (list == nullptr || !list->is_array()) return bad();
        std::vector<Sentence> out;
        for (const json::value& one : list->get_array()) {
            if (!one.is_object()) return bad();
            const json::value* text = one.get_object().if_contains("text");
            const json::value* of = one.get_object().if_contains("of");
            if (text == nullptr || !text->is_string() || of == nullptr || !of->is_array()) {
                return bad();
            }
            Sentence sentence{.text = std::string(text->get_string()), .of = {}};
            for (const json::value& number : of->get_array()) {
                if (!number.is_int64() || number.get_int64() < 1) return bad();
                sentence.of.push_back(static_cast<std::uint32_t>(number.get_int64() - 1));
            }
            out.push_back(std::move(sentence));
        }
        return out;
    }

    const ModelEndpoint endpoint_;
    const std::uint32_t tokens_max_;
    const std::string id_;
};

}  // namespace

Result<std::shared_ptr<memory::compress::Summarizer>> make_endpoint_summarizer(
    EndpointSummarizerOptions options) {
    DG_TRY(check_endpoint({.option = "memory.summaries",
                           .url = options.url,
                           .model = options.model,
                           .expected = "the URL of an API up to and with /v1, or nothing",
                           .does = "writes"}));
    return std::make_shared<EndpointSummarizer>(std::move(options));
}

}  // namespace app
