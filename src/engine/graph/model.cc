#include "engine/graph/model.h"

#include <algorithm>
#include <variant>

#include "engine/graph/architecture.h"

namespace engine {
namespace {

constexpr std::uint32_t kContextTokensDefault = 8192;

base::Result<std::uint32_t> choose_context(const Hparams& h, std::uint32_t wanted) {
    const std::uint32_t trained = DG_TRY(h.count("context_length", 1u << 28));
    if (wanted > trained) {
        return base::fail_on("context_tokens_max", base::Code::invalid_argument,
                             "a context of {} tokens was asked for; the model was trained for {}",
                             wanted, trained);
    }
    return wanted > 0 ? wanted : std::min(trained, kContextTokensDefault);
}

}  // namespace

base::Result<Model> load_model(const GgufFile& file, const ModelLimits& limits) {
    const Hparams hparams = DG_TRY(Hparams::read(file));
    const Architecture architecture = DG_TRY(find_architecture(hparams.architecture()));
    Model model;
    model.context_tokens = DG_TRY(choose_context(hparams, limits.context_tokens_max));
    model.tensors = std::make_unique<TensorSet>(file.tensors());
    for (const char* read_with_the_keys :
         {"rope_freqs.weight", "rope_factors_long.weight", "rope_factors_short.weight"}) {
        model.tensors->ignore(read_with_the_keys);
    }
    if (const auto* describe = std::get_if<EncoderDescription>(&architecture.describe)) {
        EncoderConfig config = DG_TRY((*describe)(hparams));
        model.encoder = DG_TRY(Encoder::create(std::move(config), *model.tensors));
        return model;
    }
    const auto describe = std::get<DecoderDescription>(architecture.describe);
    DecoderConfig config = DG_TRY(describe(hparams, model.context_tokens));
    model.decoder =
        DG_TRY(Decoder::create(std::move(config), *model.tensors, limits.batch_rows_max));
    return model;
}

}  // namespace engine
