#pragma once
// A command as the process that starts it wants it, and its refusals as a person wants them; for
// every backend that speaks the launcher's protocol. In commands.cc.

#include <string>

#include "sphere/launcher/protocol.h"
#include "sphere/sphere.h"

namespace sphere::native {

/// What follows a Start message: the working directory, the arguments, the variables.
struct Words {
    std::string text;
    std::uint32_t argc = 0, envc = 0;
};
/// Errors: payload_too_large.
base::Result<Words> make_words(const SandboxSpec& box, const Secrets& secrets,
                               const ExecSpec& exec);

base::Error start_error(const launcher::StartFailed& failed, const ExecSpec& spec);

}  // namespace sphere::native
