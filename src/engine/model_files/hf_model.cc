// config.json of a Hugging Face style folder to GGUF keys, for the architectures the graph runs.

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

#include "base/files/files.h"
#include "engine/model_files/hf_tensors.h"
#include "engine/model_files/hf_vocabulary.h"
#include "engine/model_files/json_fields.h"
#include "engine/model_files/onnx_encoder.h"
#include "engine/model_files/prefixes.h"
#include "engine/model_files/source_model.h"

namespace engine {

using base::Code;
using base::fail_on;
using base::Result;

namespace {

constexpr std::uint32_t kHeadDimMax = 1u << 16;
constexpr std::uint32_t kPoolingMean = 1, kPoolingCls = 2, kPoolingRank = 4;

struct Family {
    std::string_view model_type;    ///< in config.json
    std::string_view architecture;  ///< in the GGUF
    bool permute_qk, norms_plus_one;
    float rope_theta;  ///< when config.json leaves it out
    bool tied_by_default;
};
constexpr std::array<Family, 8> kFamilies = {{
    {"llama", "llama", true, false, 10'000.f, false},
    {"mistral", "llama", true, false, 10'000.f, false},
    {"qwen2", "qwen2", false, false, 10'000.f, false},
    {"qwen3", "qwen3", false, false, 10'000.f, false},
    {"gemma3_text", "gemma3", false, true, 1'000'000.f, true},
    {"gemma3", "gemma3", false, true, 1'000'000.f, true},
    {"phi3", "phi3", false, false, 10'000.f, false},
    {"bert", "bert", false, false, 0.f, true},
}};

/// A tensor whose few values are computed here.
SourceTensor table_tensor(std::string name, std::vector<float> values) {
    SourceTensor tensor;
    tensor.name = std::move(name);
    tensor.dims[0] = values.size();
    tensor.read_rows = [values = std::move(values)](std::uint64_t, std::uint64_t, float* out) {
        std::ranges::copy(values, out);
    };
    return tensor;
}

/// Llama 3.1's frequency bands as divisors, one per rotated pair: long waves are slowed by
/// `factor`, short ones kept, those between blended.
Result<std::vector<float>> llama3_rope_divisors(const JsonFields& scaling, float theta,
                                                std::uint32_t rope_dims) {
    const float factor = DG_TRY(scaling.f32("factor"));
    const float low = DG_TRY(scaling.f32_or("low_freq_factor", 1.f));
    const float high = DG_TRY(scaling.f32_or("high_freq_factor", 4.f));
    const float context = DG_TRY(scaling.f32_or("original_max_position_embeddings", 8192.f));
    if (!(factor > 0.f && high > low && low > 0.f)) {
        return fail_on(scaling.path(), Code::data_loss, "{}: rope scaling factors make no sense",
                       scaling.path());
    }
    std::vector<float> divisors;
    for (std::uint32_t i = 0; i < rope_dims; i += 2) {
        const double exponent = static_cast<double>(i) / rope_dims;
        const double wave = 2.0 * std::numbers::pi * std::pow(static_cast<double>(theta), exponent);
        if (wave < context / high) {
            divisors.push_back(1.f);
        } else if (wave > context / low) {
            divisors.push_back(factor);
        } else {
            const double smooth = (context / wave - low) / (high - low);
            divisors.push_back(static_cast<float>(1.0 / ((1.0 - smooth) / factor + smooth)));
        }
    }
    return divisors;
}

/// Reads config.json once and writes every key below the architecture's name.
class HfConverter {
public:
    /// `weights`: of an ONNX file; null: the folder's safetensors are read.
    HfConverter(const SourcePlace& place, const ConvertOptions& options, const std::string& path,
                const Family& family, const base::json::object& config,
                std::shared_ptr<const Safetensors> weights, GgufWriter& writer)
        : place_(place),
          options_(options),
          folder_(place.folder),
          config_(config, path),
          family_(family),
          weights_(std::move(weights)),
          writer_(writer) {
        arch_ = std::string(family.architecture) + ".";
    }

    Result<SourceModel> run(const base::json::object& root);

private:
    Result<void> set_shape_keys();
    Result<void> set_decoder_keys();
    Result<void> set_encoder_keys();
    Result<void> set_rope_keys();
    Result<void> set_rope_scaling(const JsonFields& scaling, float theta);
    Result<void> set_long_rope(const JsonFields& scaling);
    Result<std::uint32_t> pooling_type() const;
    Result<void> set_prefixes();
    Result<bool> has_rank_head() const;
    Result<TensorRules> tensor_rules() const;
    Result<std::uint32_t> embedding_rows(const Safetensors& weights) const;

    const SourcePlace& place_;
    const ConvertOptions& options_;
    const std::string& folder_;
    JsonFields config_;
    const Family& family_;
    std::shared_ptr<const Safetensors> weights_;
    GgufWriter& writer_;
    bool ranks_ = false;
    std::string arch_;  // key prefix
    std::uint32_t heads_ = 0, kv_heads_ = 0, head_dim_ = 0, layers_ = 0, rope_dims_ = 0;
    std::uint32_t context_ = 0;
    std::vector<SourceTensor> tables_;
};

Result<SourceModel> HfConverter::run(const base::json::object& root) {
    const bool encoder = family_.architecture == "bert";
    writer_.set_string("general.architecture", family_.architecture);
    writer_.set_string("general.name", place_.name());
    if (weights_ == nullptr) {
        weights_ = std::make_shared<const Safetensors>(DG_TRY(Safetensors::open_folder(folder_)));
    }
    ranks_ = encoder && DG_TRY(has_rank_head());
    DG_TRY(set_shape_keys());
    DG_TRY(encoder ? set_encoder_keys() : set_decoder_keys());
    SourceModel model;
    model.architecture = family_.architecture;
    model.layers = layers_;
    model.weights = weights_;
    const std::uint32_t rows = DG_TRY(embedding_rows(*model.weights));
    writer_.set_u32(arch_ + "vocab_size", rows);
    DG_TRY(set_hf_vocabulary(place_, root, rows, writer_));
    if (family_.norms_plus_one) writer_.set_bool("tokenizer.ggml.add_space_prefix", false);
    model.tensors = DG_TRY(map_tensors(*model.weights, DG_TRY(tensor_rules())));
    std::ranges::move(tables_, std::back_inserter(model.tensors));
    const auto in_block = [](const SourceTensor& tensor, std::uint32_t layer) {
        return tensor.name.starts_with(fmt::format("blk.{}.", layer));
    };
    for (std::uint32_t layer = 0; layer < layers_; ++layer) {
        const bool some = std::ranges::any_of(
            model.tensors, [&](const SourceTensor& tensor) { return in_block(tensor, layer); });
        if (!some) {
            return fail_on(folder_, Code::data_loss,
                           "{}: config.json says {} layers, but layer {} has no tensors", folder_,
                           layers_, layer);
        }
    }
    return model;
}

Result<void> HfConverter::set_shape_keys() {
    const std::uint32_t dim = DG_TRY(config_.u32("hidden_size"));
    layers_ = DG_TRY(config_.u32("num_hidden_layers"));
    heads_ = DG_TRY(config_.u32("num_attention_heads"));
    kv_heads_ = DG_TRY(config_.u32_or("num_key_value_heads", heads_));
    if (layers_ == 0 || layers_ > 4096 || heads_ == 0 || kv_heads_ == 0 ||
        heads_ % kv_heads_ != 0) {
        return fail_on(config_.path(), Code::data_loss,
                       "{}: {} layers, {} heads and {} key-value heads make no sense",
                       config_.path(), layers_, heads_, kv_heads_);
    }
    head_dim_ = DG_TRY(config_.u32_or("head_dim", dim / heads_));
    context_ = DG_TRY(config_.u32("max_position_embeddings"));
    if (head_dim_ == 0 || head_dim_ > kHeadDimMax || context_ == 0) {
        return fail_on(config_.path(), Code::data_loss,
                       "{}: heads of {} values and a context of {} make no sense", config_.path(),
                       head_dim_, context_);
    }
    writer_.set_u32(arch_ + "block_count", layers_);
    writer_.set_u32(arch_ + "context_length", context_);
    writer_.set_u32(arch_ + "embedding_length", dim);
    writer_.set_u32(arch_ + "feed_forward_length", DG_TRY(config_.u32("intermediate_size")));
    writer_.set_u32(arch_ + "attention.head_count", heads_);
    return {};
}

Result<void> HfConverter::set_encoder_keys() {
    writer_.set_f32(arch_ + "attention.layer_norm_epsilon",
                    DG_TRY(config_.f32_or("layer_norm_eps", 1e-12f)));
    writer_.set_bool(arch_ + "attention.causal", false);
    writer_.set_u32(arch_ + "pooling_type", DG_TRY(pooling_type()));
    writer_.set_u32("tokenizer.ggml.token_type_count",
                    DG_TRY(config_.u32_or("type_vocab_size", 2)));
    return set_prefixes();
}

/// What sentence-transformers puts before texts, by the names that its models use.
Result<void> HfConverter::set_prefixes() {
    const std::string path = folder_ + "/config_sentence_transformers.json";
    if (!base::path_exists(path)) return {};
    const base::json::value json = DG_TRY(parse_object_file(path));
    const JsonFields fields(json.get_object(), path);
    if (!fields.has("prompts")) return {};
    const JsonFields prompts(*DG_TRY(fields.object("prompts")), path);
    constexpr std::pair<const char*, std::string_view> kSides[] = {{"query", kQueryPrefixKey},
                                                                   {"document", kDocumentPrefixKey},
                                                                   {"passage", kDocumentPrefixKey}};
    for (const auto& [side, key] : kSides) {
        if (prompts.has(side)) writer_.set_string(key, DG_TRY(prompts.string(side)));
    }
    return {};
}

/// Errors: unimplemented (a classifier of several labels: their number).
Result<bool> HfConverter::has_rank_head() const {
    const SafeTensor* head = weights_->find("classifier.weight");
    if (head == nullptr) return false;
    if (head->shape.size() == 2 && head->shape[0] == 1) return true;
    return fail_on(folder_, Code::unimplemented,
                   "{}: its classifier has {} labels; a cross-encoder, which has one, can be "
                   "converted",
                   folder_, head->shape.empty() ? 0 : head->shape[0]);
}

/// From sentence-transformers' 1_Pooling/config.json. Where there is none, bge models are known to
/// take the first token, others the mean.
Result<std::uint32_t> HfConverter::pooling_type() const {
    if (ranks_) return kPoolingRank;
    if (options_.pooling == "mean") return kPoolingMean;
    if (options_.pooling == "cls") return kPoolingCls;
    if (!options_.pooling.empty()) {
        return fail_on("pooling", Code::invalid_argument, "pooling is '{}', expected mean or cls",
                       options_.pooling);
    }
    const std::string path = folder_ + "/1_Pooling/config.json";
    if (!base::path_exists(path)) {
        return place_.name().find("bge") != std::string::npos ? kPoolingCls : kPoolingMean;
    }
    const base::json::value json = DG_TRY(parse_object_file(path));
    const JsonFields fields(json.get_object(), path);
    if (DG_TRY(fields.bool_or("pooling_mode_mean_tokens", false))) return kPoolingMean;
    if (DG_TRY(fields.bool_or("pooling_mode_cls_token", false))) return kPoolingCls;
    return fail_on(path, Code::unimplemented, "{}: its pooling is neither mean nor CLS", path);
}

Result<void> HfConverter::set_decoder_keys() {
    writer_.set_u32(arch_ + "attention.head_count_kv", kv_heads_);
    writer_.set_f32(arch_ + "attention.layer_norm_rms_epsilon",
                    DG_TRY(config_.f32_or("rms_norm_eps", 1e-6f)));
    writer_.set_u32(arch_ + "attention.key_length", head_dim_);
    writer_.set_u32(arch_ + "attention.value_length", head_dim_);
    const bool sliding = DG_TRY(config_.bool_or("use_sliding_window", true));
    if (const auto* window = config_.find("sliding_window"); window && sliding) {
        writer_.set_u32(arch_ + "attention.sliding_window", DG_TRY(config_.u32("sliding_window")));
    }
    if (config_.has("sliding_window_pattern") || config_.has("_sliding_window_pattern")) {
        const bool plain = config_.has("sliding_window_pattern");
        writer_.set_u32(
            arch_ + "attention.sliding_window_pattern",
            DG_TRY(config_.u32(plain ? "sliding_window_pattern" : "_sliding_window_pattern")));
    }
    if (const auto* scalar = config_.find("query_pre_attn_scalar"); scalar != nullptr) {
        const float value = DG_TRY(config_.f32("query_pre_attn_scalar"));
        if (!(value > 0.f)) {
            return fail_on(config_.path(), Code::data_loss,
                           "{}: query_pre_attn_scalar is {}, expected more than 0", config_.path(),
                           value);
        }
        writer_.set_f32(arch_ + "attention.scale", 1.f / std::sqrt(value));
    }
    if (config_.has("final_logit_softcapping")) {
        writer_.set_f32(arch_ + "final_logit_softcapping",
                        DG_TRY(config_.f32("final_logit_softcapping")));
    }
    return set_rope_keys();
}

Result<void> HfConverter::set_rope_keys() {
    // Newer configurations keep all of it in one object.
    const base::json::object* rope = nullptr;
    for (const char* key : {"rope_parameters", "rope_scaling"}) {
        if (rope == nullptr && config_.has(key)) rope = DG_TRY(config_.object(key));
    }
    const base::json::object none;
    const JsonFields scaling(rope != nullptr ? *rope : none, config_.path());
    const float outer = DG_TRY(config_.f32_or("rope_theta", family_.rope_theta));
    const float theta = DG_TRY(scaling.f32_or("rope_theta", outer));
    const float share = DG_TRY(config_.f32_or("partial_rotary_factor", 1.f));
    if (!(share > 0.f && share <= 1.f && theta > 0.f)) {
        return fail_on(config_.path(), Code::data_loss,
                       "{}: partial_rotary_factor {} or rope_theta {} is out of range",
                       config_.path(), share, theta);
    }
    rope_dims_ = static_cast<std::uint32_t>(share * static_cast<float>(head_dim_));
    writer_.set_u32(arch_ + "rope.dimension_count", rope_dims_);
    writer_.set_f32(arch_ + "rope.freq_base", theta);
    if (config_.has("rope_local_base_freq")) {
        writer_.set_f32(arch_ + "rope.freq_base_swa", DG_TRY(config_.f32("rope_local_base_freq")));
    }
    return rope == nullptr ? Result<void>() : set_rope_scaling(scaling, theta);
}

Result<void> HfConverter::set_rope_scaling(const JsonFields& scaling, float theta) {
    const std::string old_name = DG_TRY(scaling.string_or("type", "default"));
    const std::string type = DG_TRY(scaling.string_or("rope_type", old_name));
    if (type == "default") return {};
    if (type == "llama3") {
        tables_.push_back(table_tensor("rope_freqs.weight",
                                       DG_TRY(llama3_rope_divisors(scaling, theta, rope_dims_))));
        return {};
    }
    if (type == "longrope" || type == "su") return set_long_rope(scaling);
    if (type != "linear" && type != "yarn") {
        return fail_on(config_.path(), Code::unimplemented,
                       "{}: rope scaling `{}`; linear, yarn, llama3 and longrope are supported",
                       config_.path(), type);
    }
    writer_.set_string(arch_ + "rope.scaling.type", type);
    writer_.set_f32(arch_ + "rope.scaling.factor", DG_TRY(scaling.f32("factor")));
    if (type == "yarn") {
        writer_.set_u32(arch_ + "rope.scaling.original_context_length",
                        DG_TRY(scaling.u32_or("original_max_position_embeddings", context_)));
    }
    return {};
}

/// Phi-3's two tables of divisors, for contexts within and beyond the original length.
Result<void> HfConverter::set_long_rope(const JsonFields& scaling) {
    const std::uint32_t outer =
        DG_TRY(config_.u32_or("original_max_position_embeddings", context_));
    const std::uint32_t original =
        DG_TRY(scaling.u32_or("original_max_position_embeddings", outer));
    if (original < 2) {
        return fail_on(config_.path(), Code::data_loss, "{}: the original context is {}",
                       config_.path(), original);
    }
    for (const char* name : {"long", "short"}) {
        std::vector<float> factors = DG_TRY(scaling.f32s(fmt::format("{}_factor", name)));
        if (factors.size() != rope_dims_ / 2) {
            return fail_on(config_.path(), Code::data_loss,
                           "{}: {}_factor has {} elements, expected {}", config_.path(), name,
                           factors.size(), rope_dims_ / 2);
        }
        tables_.push_back(
            table_tensor(fmt::format("rope_factors_{}.weight", name), std::move(factors)));
    }
    const double stretch = static_cast<double>(context_) / original;
    const double magnitude =
        stretch <= 1.0 ? 1.0 : std::sqrt(1.0 + std::log(stretch) / std::log(original));
    writer_.set_string(arch_ + "rope.scaling.type", "longrope");
    writer_.set_f32(arch_ + "rope.scaling.attn_factor", static_cast<float>(magnitude));
    writer_.set_u32(arch_ + "rope.scaling.original_context_length", original);
    return {};
}

Result<TensorRules> HfConverter::tensor_rules() const {
    TensorRules rules;
    rules.architecture = family_.architecture;
    rules.heads = heads_;
    rules.kv_heads = kv_heads_;
    rules.ranks = ranks_;
    rules.permute_qk = family_.permute_qk;
    rules.norms_plus_one = family_.norms_plus_one;
    rules.tied_embeddings = DG_TRY(config_.bool_or("tie_word_embeddings", family_.tied_by_default));
    return rules;
}

Result<std::uint32_t> HfConverter::embedding_rows(const Safetensors& weights) const {
    TensorRules names;
    names.architecture = family_.architecture;
    for (const SafeTensor& tensor : weights.tensors()) {
        if (gguf_tensor_name(tensor.name, names) == "token_embd.weight" && !tensor.shape.empty()) {
            return static_cast<std::uint32_t>(tensor.shape[0]);
        }
    }
    return fail_on(folder_, Code::data_loss, "{}: the weights hold no token embedding", folder_);
}

}  // namespace

Result<SourceModel> load_hf_model(const SourcePlace& place, const ConvertOptions& options,
                                  GgufWriter& writer) {
    const std::string path = place.folder + "/config.json";
    OnnxEncoder onnx;
    if (!place.onnx.empty()) onnx = DG_TRY(read_onnx_encoder(place.onnx));
    base::json::object root = std::move(onnx.config);
    if (place.onnx.empty() || base::path_exists(path)) {
        const base::json::value json = DG_TRY(parse_object_file(path));
        constexpr const char* kHeads = "num_attention_heads";
        const base::json::value* heads = json.get_object().if_contains(kHeads);
        if (!place.onnx.empty() && heads != nullptr && *heads != root[kHeads]) {
            return fail_on(path, Code::data_loss, "{} says {} {}, {} has {}", path, kHeads,
                           base::to_text(*heads), place.onnx, base::to_text(root[kHeads]));
        }
        for (const auto& [key, value] : json.get_object()) root[key] = value;
    }
    const std::string type = DG_TRY(JsonFields(root, path).string("model_type"));
    const auto* family = std::ranges::find(kFamilies, type, &Family::model_type);
    if (family == kFamilies.end() || (!place.onnx.empty() && type != "bert")) {
        return fail_on(path, Code::unimplemented,
                       "{}: model_type `{}`; llama, mistral, qwen2, qwen3, gemma3, phi3 and bert "
                       "can be converted, bert alone from ONNX",
                       path, type);
    }
    // A model with vision keeps its language half in a nested object.
    const base::json::object* text = &root;
    if (JsonFields(root, path).has("text_config")) {
        text = DG_TRY(JsonFields(root, path).object("text_config"));
    }
    return HfConverter(place, options, path, *family, *text, std::move(onnx.weights), writer)
        .run(root);
}

}  // namespace engine
