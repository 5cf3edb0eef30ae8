#pragma once
// What `run` and `chat` share: sampling options, and where the answers come from.

#include <memory>
#include <string>
#include <vector>

#include "app/answers.h"
#include "app/command.h"
#include "app/engine_backend.h"
#include "app/model_store.h"

namespace app {

/// -n, --temperature, --top-p, --top-k, --min-p, --repetition-penalty, --seed, --stop, --url.
std::vector<OptionSpec> asking_options();

/// Sampling, max_tokens and stop from the options; the prompt stays empty.
/// Errors: invalid_argument naming the option.
base::Result<Question> question_from(const Args& args);

/// An open model or a connection to a server, ready for questions.
struct Answerer {
    std::unique_ptr<EngineBackend> backend;  ///< null with --url
    std::unique_ptr<AnswerSource> source;    ///< dies before the backend
    bool smoke = false;
    double load_ms = 0;
    base::UniqueFd memory;  ///< the smoke model's bytes

    Answerer() = default;
    Answerer(Answerer&&) = default;
    Answerer& operator=(Answerer&& other) noexcept;
    ~Answerer();
};

/// `model`: as models.model; with --url it is the server's name for one. Errors: those of
/// locate_model, open_model, remote_answers; invalid_argument (the model writes no text).
base::Result<Answerer> open_answerer(const Args& args, const Program& program,
                                     const std::string& model);

}  // namespace app
