# SPDX-License-Identifier: Apache-2.0
# What `cmake --install build/release --prefix PREFIX` puts where, and what is in the Debian package besides. Nothing of
# it knows the prefix, so the whole can be moved. docs/operations.md has the commands.
include(GNUInstallDirs)

install(TARGETS plait plait-lab RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT program)
install(FILES LICENSE README.md ARCHITECTURE.md CHANGELOG.md CONTRIBUTING.md SECURITY.md
  DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT program)
install(DIRECTORY docs DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT program)
install(FILES packaging/plait.toml DESTINATION ${CMAKE_INSTALL_DATADIR}/plait COMPONENT program)
install(FILES packaging/plait.service DESTINATION lib/systemd/system COMPONENT program)
install(FILES packaging/sysusers.conf DESTINATION lib/sysusers.d RENAME plait.conf COMPONENT program)
install(FILES packaging/tmpfiles.conf DESTINATION lib/tmpfiles.d RENAME plait.conf COMPONENT program)

# plait itself prints what completes its words.
set(completions bash=bash-completion/completions/plait zsh=zsh/vendor-completions/_plait
  fish=fish/vendor_completions.d/plait.fish)
foreach(completion IN LISTS completions)
  string(REGEX MATCH "^[^=]+" shell ${completion})
  string(REGEX REPLACE "^[^=]+=" "${CMAKE_INSTALL_DATADIR}/" file ${completion})
  install(CODE "
    set(file \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/${file}\")
    message(STATUS \"Installing: \${file}\")
    get_filename_component(folder \"\${file}\" DIRECTORY)
    file(MAKE_DIRECTORY \"\${folder}\")
    execute_process(COMMAND \"$<TARGET_FILE:plait>\" completion ${shell} OUTPUT_FILE \"\${file}\"
      COMMAND_ERROR_IS_FATAL ANY)" COMPONENT program)
endforeach()

# Only in packages: what lies outside any prefix.
install(FILES packaging/plait.toml DESTINATION /etc/plait COMPONENT system EXCLUDE_FROM_ALL)
install(FILES packaging/logrotate.conf DESTINATION /etc/logrotate.d RENAME plait COMPONENT system EXCLUDE_FROM_ALL)
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR} RENAME copyright COMPONENT system EXCLUDE_FROM_ALL)

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME plait)
set(CPACK_PACKAGE_VENDOR plait)
set(CPACK_PACKAGE_CONTACT "The plait maintainers <maintainers@plait.invalid>"
  CACHE STRING "Who is named as the maintainer of packages")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "serves language models to many at once")
set(CPACK_PACKAGE_DESCRIPTION "One program that reads GGUF model files and answers over HTTP, as OpenAI's, Anthropic's
and ollama's servers do, or at the command line. No GPU, no Python at run time.")
set(CPACK_COMPONENTS_ALL program system)
set(CPACK_COMPONENTS_GROUPING ALL_COMPONENTS_IN_ONE)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_NAME plait)
set(CPACK_DEBIAN_PACKAGE_SECTION net)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_DEPENDS "systemd | systemd-standalone-sysusers, systemd | systemd-standalone-tmpfiles")
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS "ca-certificates, logrotate")
set(CPACK_DEBIAN_PACKAGE_SUGGESTS "python3-pip")
set(deb ${PROJECT_SOURCE_DIR}/packaging/deb)
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA ${deb}/conffiles ${deb}/postinst ${deb}/prerm ${deb}/postrm)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
include(CPack)
