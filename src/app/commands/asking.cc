#include "app/commands/asking.h"

namespace app {

using base::Code;
using base::Result;

std::vector<OptionSpec> asking_options() {
    return {
        {"-n,--max-tokens", "N", "Stop after this many tokens; by default when the model does."},
        {"--temperature", "T", "0 always takes the likeliest token [default 0.7]."},
        {"--top-p", "P", "Keep the likeliest tokens that add up to P [default 0.95]."},
        {"--top-k", "K", "Keep the K likeliest tokens; 0 keeps all [default 0]."},
        {"--min-p", "P", "Drop tokens below P times the likeliest [default 0]."},
        {"--repetition-penalty", "R", "Above 1 discourages what was said [default 1]."},
        {"--seed", "N", "The same seed gives the same answer."},
        {"--stop", "TEXT", "End before this text; may be given several times."},
        {"--url", "URL", "Ask a running server instead of opening the model here."}};
}

Result<Question> question_from(const Args& args) {
    Question question;
    gate::Sampling& sampling = question.sampling;
    const auto number = [&](std::string_view flag, double min, double max,
                            double otherwise) -> Result<float> {
        return static_cast<float>(DG_TRY(args.number(flag, min, max)).value_or(otherwise));
    };
    sampling.temperature = DG_TRY(number("--temperature", 0, 10, 0.7));
    sampling.top_p = DG_TRY(number("--top-p", 0, 1, 0.95));
    sampling.min_p = DG_TRY(number("--min-p", 0, 1, 0));
    sampling.repetition_penalty = DG_TRY(number("--repetition-penalty", 0.01, 10, 1));
    sampling.top_k = DG_TRY(args.count("--top-k", 0, 1u << 20)).value_or(0);
    question.max_tokens = DG_TRY(args.count("--max-tokens", 1, 1u << 20)).value_or(0);
    if (const auto seed = DG_TRY(args.count("--seed", 0, UINT32_MAX))) sampling.seed = *seed;
    question.stop = args.all("--stop");
    return question;
}

Answerer& Answerer::operator=(Answerer&& other) noexcept {
    source = std::move(other.source);  // before the backend that the old one asks
    backend = std::move(other.backend);
    memory = std::move(other.memory);
    smoke = other.smoke;
    load_ms = other.load_ms;
    return *this;
}

Answerer::~Answerer() {
    source.reset();
    if (backend) backend->close();
}

Result<Answerer> open_answerer(const Args& args, const Program& program, const std::string& model) {
    Answerer answerer;
    if (const auto url = args.value("--url")) {
        answerer.source =
            DG_TRY(remote_answers(*url, model == "default" ? "" : model, program.clock));
        return answerer;
    }
    OpenModel open = DG_TRY(open_model(DG_TRY(locate_model(model, program)), program));
    if (open.engine->info().kind == engine::ModelKind::encoder) {
        return base::fail_on("models.model", Code::invalid_argument,
                             "model {} is an encoder and writes no text; serve it and use "
                             "/v1/embeddings",
                             open.located.id);
    }
    answerer.backend = std::make_unique<EngineBackend>(program.clock);
    answerer.backend->add(open.located.id, std::move(open.engine), open.max_tokens_default);
    answerer.backend->set_ready();
    answerer.source = local_answers(*answerer.backend, open.located.id);
    answerer.smoke = open.located.smoke;
    answerer.load_ms = open.load_ms;
    answerer.memory = std::move(open.located.memory);
    return answerer;
}

}  // namespace app
