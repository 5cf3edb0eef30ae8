#include "sphere/native/command_words.h"

#include <cerrno>
#include <cstring>
#include <map>

namespace sphere::native {
namespace {

using base::Code;
using base::fail_on;
using base::Result;

std::map<std::string, std::string> environment_of(const SandboxSpec& box, const Secrets& secrets,
                                                  const ExecSpec& exec,
                                                  const Surroundings& around) {
    std::map<std::string, std::string> variables = {
        {"PATH", "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"},
        {"HOME", "/workspace"},
        {"USER", "box"},
        {"LANG", "C.UTF-8"}};
    if (exec.tty) variables["TERM"] = "xterm-256color";
    if (!around.folder.empty()) {
        variables["HOME"] = around.folder + "/workspace";
        variables["TMPDIR"] = around.folder + "/tmp";
    }
    if (around.proxied) {  // programs that know of proxies save themselves a look-up by these
        for (const char* name : {"http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"}) {
            variables[name] = fmt::format("http://127.0.0.1:{}", launcher::kHttpProxyPort);
        }
        for (const char* name : {"no_proxy", "NO_PROXY"}) {
            variables[name] = "localhost,127.0.0.1,::1";
        }
    }
    if (around.image != nullptr) {
        for (const auto& [name, value] : around.image->environment) variables[name] = value;
    }
    for (const auto& [name, value] : box.environment) variables[name] = value;
    for (const auto& [name, value] : exec.environment) variables[name] = value;
    for (const SecretValue& secret : secrets) {
        if (!secret.environment.empty()) variables[secret.environment] = secret.value;
    }
    return variables;
}

std::string directory_of(const ExecSpec& exec, const Surroundings& around) {
    std::string directory = exec.working_directory;
    if (directory.empty()) {
        const bool by_image = around.image && around.image->working_directory.starts_with('/');
        directory = by_image ? around.image->working_directory : "/workspace";
    }
    for (const std::string own : {"/workspace", "/tmp"}) {
        if (!around.folder.empty() && (directory == own || directory.starts_with(own + "/"))) {
            return around.folder + directory;
        }
    }
    return directory;
}

}  // namespace

Result<Words> make_words(const SandboxSpec& box, const Secrets& secrets, const ExecSpec& exec,
                         const Surroundings& around) {
    Words words;
    const auto add = [&](std::string_view word) {
        words.text += word;
        words.text += '\0';
    };
    add(directory_of(exec, around));
    for (const std::string& argument : exec.argv) add(argument);
    const auto environment = environment_of(box, secrets, exec, around);
    for (const auto& [name, value] : environment) add(name + "=" + value);
    words.argc = static_cast<std::uint32_t>(exec.argv.size());
    words.envc = static_cast<std::uint32_t>(environment.size());
    constexpr std::size_t kBytesMax = launcher::kMessageBytesMax - sizeof(launcher::Start);
    if (words.text.size() > kBytesMax) {
        return fail_on("argv", Code::payload_too_large,
                       "arguments and environment take {} bytes; at most {} go into a command: "
                       "put the rest into a file of the workspace or into stdin",
                       words.text.size(), kBytesMax);
    }
    if (exec.argv.size() > launcher::kWordsMax || environment.size() > launcher::kWordsMax) {
        return fail_on("argv", Code::payload_too_large,
                       "{} arguments and {} variables; at most {} of each go into a command",
                       exec.argv.size(), environment.size(), launcher::kWordsMax);
    }
    return words;
}

base::Error start_error(const launcher::StartFailed& failed, const ExecSpec& spec) {
    const std::string why = std::strerror(failed.error);
    if (failed.step == launcher::Step::execute) {
        const Code code = failed.error == ENOENT ? Code::not_found : Code::invalid_argument;
        return {code, fmt::format("{} cannot be run in the sandbox: {}", spec.argv[0], why),
                "argv[0]"};
    }
    if (failed.step == launcher::Step::directory) {
        return {Code::not_found,
                fmt::format("working_directory {}: {}", spec.working_directory, why),
                "working_directory"};
    }
    const bool full = failed.error == EAGAIN || failed.error == ENOMEM;
    return {full ? Code::resource_exhausted : Code::unavailable,
            fmt::format("{} was not started: {}: {}", spec.argv[0],
                        launcher::step_name(failed.step), why),
            {}};
}

}  // namespace sphere::native
