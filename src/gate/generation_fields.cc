#include "gate/generation_fields.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "gate/body_reader.h"
#include "gate/field_table.h"

namespace gate {
namespace {

using base::Code;
using base::fail_on;
using base::Result;
namespace json = base::json;

Result<std::vector<std::pair<std::int32_t, float>>> logit_bias(const json::object& body) {
    std::vector<std::pair<std::int32_t, float>> biases;
    const json::value* const value = find(body, "logit_bias");
    if (value == nullptr) return biases;
    for (const auto& entry : value->get_object()) {
        const std::string_view key(entry.key().data(), entry.key().size());
        const std::string path = fmt::format("logit_bias.{}", key.substr(0, 40));
        std::int32_t id = -1;
        const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), id);
        if (error != std::errc() || end != key.data() + key.size() || id < 0) {
            return fail_on(path, Code::invalid_argument,
                           "'{}': the name must be a token id; ask /tokenize", path);
        }
        if ((type_of(entry.value()) & kNumber) == 0 ||
            std::abs(entry.value().to_number<double>()) > 100) {
            return fail_on(path, Code::invalid_argument, "'{}' must be a number from -100 to 100",
                           path);
        }
        biases.emplace_back(id, entry.value().to_number<float>());
    }
    return biases;
}

Result<void> stream_options(const json::object& body, GenerationCall& call) {
    const json::value* const options = find(body, "stream_options");
    if (options == nullptr) return {};
    if (!call.stream) {
        return fail_on("stream_options", Code::invalid_argument,
                       "'stream_options' needs \"stream\": true");
    }
    const json::object& object = options->get_object();
    DG_TRY(only_fields(object, "stream_options",
                       {"include_usage", "include_obfuscation", "resumable"}));
    for (const auto& entry : object) {
        if (entry.value().is_bool() || entry.value().is_null()) continue;
        const std::string path = fmt::format("stream_options.{}", std::string(entry.key()));
        return fail_on(path, Code::invalid_argument, "'{}' must be true or false", path);
    }
    call.include_usage = flag(object, "include_usage");
    call.resumable = flag(object, "resumable");
    return {};
}

}  // namespace

std::string model_name(const json::object& body) {
    const json::value* const model = find(body, "model");
    return model == nullptr ? std::string() : std::string(view(model->get_string()));
}

Result<std::vector<std::string>> stop_strings(const json::object& body, const ParseLimits& limits) {
    std::vector<std::string> stops;
    const json::value* const value = find(body, "stop");
    if (value == nullptr) return stops;
    if (value->is_string()) {
        stops.emplace_back(view(value->get_string()));
    } else {
        for (const json::value& entry : value->get_array()) {
            if (!entry.is_string()) {
                return fail_on("stop", Code::invalid_argument, "'stop' may hold strings only");
            }
            stops.emplace_back(view(entry.get_string()));
        }
    }
    if (stops.size() > limits.stop_max) {
        return fail_on("stop", Code::invalid_argument,
                       "'stop' has {} strings; at most {} are allowed", stops.size(),
                       limits.stop_max);
    }
    if (std::ranges::any_of(stops, &std::string::empty)) {
        return fail_on("stop", Code::invalid_argument,
                       "'stop' holds an empty string, which would end every answer at once");
    }
    return stops;
}

Result<Sampling> sampling(const json::object& body) {
    Sampling out;
    out.temperature = number(body, "temperature", 1);
    out.top_p = number(body, "top_p", 1);
    out.top_k =
        static_cast<std::uint32_t>(std::max<std::int64_t>(0, integer(body, "top_k").value_or(0)));
    out.min_p = number(body, "min_p", 0);
    out.typical_p = number(body, "typical_p", 1);
    out.repetition_penalty = number(body, "repetition_penalty", 1);
    out.presence_penalty = number(body, "presence_penalty", 0);
    out.frequency_penalty = number(body, "frequency_penalty", 0);
    out.logit_bias = DG_TRY(logit_bias(body));
    if (const auto seed = integer(body, "seed")) out.seed = static_cast<std::uint64_t>(*seed);
    return out;
}

Result<void> read_overflow(const json::object& body, std::string_view name, std::string_view error,
                           std::string_view shift, GenerationRequest& request) {
    const std::string wanted = text(body, name);
    if (wanted == shift) request.context_overflow = ContextOverflow::shift;
    if (wanted.empty() || wanted == error || wanted == shift) return {};
    return fail_on(std::string(name), Code::invalid_argument, "'{}' is '{}'; it must be {} or {}",
                   name, wanted.substr(0, 100), error, shift);
}

void read_serving(const json::object& body, GenerationRequest& request) {
    request.cache_id = text(body, "cache_id");
    request.session = text(body, "session_id");
    request.priority = static_cast<std::int32_t>(integer(body, "priority").value_or(0));
}

Result<void> set_effort(std::string_view effort, const std::string& path,
                        GenerationRequest& request) {
    constexpr std::array<std::string_view, 6> kEfforts = {"none",   "minimal", "low",
                                                          "medium", "high",    "xhigh"};
    if (std::ranges::find(kEfforts, effort) == kEfforts.end()) {
        return fail_on(path, Code::invalid_argument, "'{}' is '{}'; it must be one of {}", path,
                       effort.substr(0, 100), fmt::join(kEfforts, ", "));
    }
    // Templates know one of two switches: a word (gpt-oss) or whether to think at all (Qwen).
    const bool thinks = effort != "none";
    if (thinks) request.template_extra.emplace("reasoning_effort", effort);
    request.template_extra.emplace("enable_thinking", thinks);
    return {};
}

Result<void> read_reasoning(const json::object& body, GenerationRequest& request) {
    if (const json::value* const effort = find(body, "reasoning_effort")) {
        DG_TRY(set_effort(view(effort->get_string()), "reasoning_effort", request));
    }
    const std::string format = text(body, "reasoning_format");
    if (format != "" && format != "auto" && format != "deepseek" && format != "none") {
        return fail_on("reasoning_format", Code::invalid_argument,
                       "'reasoning_format' is '{}'; it must be auto, deepseek or none",
                       format.substr(0, 100));
    }
    request.split_reasoning = format != "none";
    return {};
}

Result<GenerationCall> parse_shared(const json::object& body, const ParseLimits& limits) {
    GenerationCall call;
    call.request.model = model_name(body);
    call.request.sampling = DG_TRY(sampling(body));
    call.request.stop = DG_TRY(stop_strings(body, limits));
    call.request.ignore_eos = flag(body, "ignore_eos");
    read_serving(body, call.request);
    call.stream = flag(body, "stream");
    call.n = static_cast<std::uint32_t>(integer(body, "n").value_or(1));
    if (call.n > limits.n_max) {
        return fail_on("n", Code::invalid_argument, "'n' is {}; this server allows at most {}",
                       call.n, limits.n_max);
    }
    DG_TRY(stream_options(body, call));
    return call;
}

}  // namespace gate
