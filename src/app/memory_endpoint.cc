// Vectors from an endpoint that speaks OpenAI's /v1/embeddings: batches, times, checks.

#include <algorithm>
#include <cmath>
#include <vector>

#include "app/memory_embedder.h"
#include "app/model_endpoint.h"
#include "base/json/json.h"

namespace app {
namespace {

using base::Code;
namespace json = base::json;

constexpr std::uint32_t kDimsMax = 1u << 16;

class EndpointEmbedder final : public memory::Embedder {
public:
    explicit EndpointEmbedder(EndpointEmbedderOptions options)
        : options_(std::move(options)),
          endpoint_({.url = options_.url,
                     .model = options_.model,
                     .api_key = options_.api_key,
                     .timeout = options_.timeout,
                     .http = options_.http}),
          id_("endpoint/" + options_.model) {}

    /// Asks for one vector to know its length. Errors: those of the endpoint.
    base::Result<void> learn_dims() {
        if (options_.dims != 0) return {};
        const std::string_view text = "dimensions";
        const json::value answer = DG_TRY(ask({&text, 1}, options_.document_prefix));
        const json::array& vector = *DG_TRY(vector_of(answer, 0));
        if (vector.empty() || vector.size() > kDimsMax) {
            return base::fail(Code::failed_precondition,
                              "{} gave a vector of {} numbers, expected 1 to {}", endpoint_.url(),
                              vector.size(), kDimsMax);
        }
        options_.dims = static_cast<std::uint32_t>(vector.size());
        return {};
    }

    const std::string& id() const override { return id_; }
    std::uint32_t dims() const override { return options_.dims; }

    base::Result<void> embed(std::span<const std::string_view> texts, memory::EmbedSide side,
                             std::span<float> out) override {
        DG_TRY(memory::check_room(*this, texts.size(), out.size()));
        const std::string& prefix =
            side == memory::EmbedSide::query ? options_.query_prefix : options_.document_prefix;
        for (std::size_t at = 0; at < texts.size(); at += options_.batch_max) {
            const std::size_t count = std::min<std::size_t>(options_.batch_max, texts.size() - at);
            const json::value answer = DG_TRY(ask(texts.subspan(at, count), prefix));
            for (std::size_t i = 0; i < count; ++i) {
                DG_TRY(take(*DG_TRY(vector_of(answer, i)), out.subspan((at + i) * dims(), dims())));
            }
        }
        return {};
    }

private:
    base::Result<json::value> ask(std::span<const std::string_view> texts,
                                  const std::string& prefix) const {
        json::array input;
        for (const std::string_view text : texts) {
            // Endpoints refuse an empty text.
            input.emplace_back(text.empty() ? prefix + " " : prefix + std::string(text));
        }
        const auto response = DG_TRY(endpoint_.post(
            "/embeddings", {{"input", std::move(input)}, {"encoding_format", "float"}}));
        if (response.status != 200) {
            const bool retry = response.status == 429 || response.status >= 500;
            return base::fail(retry ? Code::unavailable : Code::failed_precondition,
                              "{}/embeddings answered {} for model {}; {}", endpoint_.url(),
                              response.status, endpoint_.model(),
                              retry ? "try again later" : "check the url, the model and the key");
        }
        auto answer = base::parse_json(response.body);
        if (!answer) {
            return base::fail(Code::unavailable, "{}/embeddings answered no JSON: {}",
                              endpoint_.url(), answer.error().message);
        }
        return std::move(*answer);
    }

    /// data[].embedding whose index is `index`, wherever it stands.
    base::Result<const json::array*> vector_of(const json::value& answer, std::size_t index) const {
        const json::object* object = answer.if_object();
        const json::value* data = object == nullptr ? nullptr : object->if_contains("data");
        if (data != nullptr && data->is_array()) {
            for (std::size_t i = 0; i < data->as_array().size(); ++i) {
                const json::object* item = data->as_array()[i].if_object();
                if (item == nullptr) continue;
                const json::value* number = item->if_contains("index");
                const bool is_it = number != nullptr && number->is_number()
                                       ? number->to_number<double>() == static_cast<double>(index)
                                       : i == index;
                const json::value* vector = item->if_contains("embedding");
                if (is_it && vector != nullptr && vector->is_array()) return &vector->as_array();
            }
        }
        return base::fail(Code::unavailable, "{} gave no vector for input {}", endpoint_.url(),
                          index);
    }

    /// Of length 1 from here on, whatever the endpoint does.
    base::Result<void> take(const json::array& vector, std::span<float> out) const {
        if (vector.size() != out.size()) {
            return base::fail(Code::failed_precondition,
                              "{} gave a vector of {} numbers for model {}, expected {}; another "
                              "model answers to that name",
                              endpoint_.url(), vector.size(), endpoint_.model(), out.size());
        }
        double squares = 0;
        for (std::size_t d = 0; d < out.size(); ++d) {
            const double x = vector[d].is_number() ? vector[d].to_number<double>() : std::nan("");
            if (!std::isfinite(x)) {
                return base::fail(Code::unavailable, "{} gave no number at dimension {}",
                                  endpoint_.url(), d);
            }
            out[d] = static_cast<float>(x);
            squares += x * x;
        }
        if (squares == 0) return {};
        const auto scale = static_cast<float>(1. / std::sqrt(squares));
        for (float& x : out) x *= scale;
        return {};
    }

    EndpointEmbedderOptions options_;
    const ModelEndpoint endpoint_;
    const std::string id_;
};

}  // namespace

base::Result<std::shared_ptr<memory::Embedder>> make_endpoint_embedder(
    EndpointEmbedderOptions options) {
    if (!options.url.starts_with("http://") && !options.url.starts_with("https://")) {
        return base::fail(Code::invalid_argument,
                          "the embedder's url is \"{}\"; expected http:// or https://, up to /v1",
                          options.url);
    }
    if (options.model.empty()) {
        return base::fail(Code::invalid_argument, "the embedder at {} needs a model's name",
                          options.url);
    }
    options.batch_max = std::max(1u, options.batch_max);
    auto embedder = std::make_shared<EndpointEmbedder>(std::move(options));
    DG_TRY(embedder->learn_dims());
    return embedder;
}

}  // namespace app
