{{/*
What pods have in common. Nothing runs as root, nothing writes to the image's files, and only who talks to the API server
holds a token.
*/}}

{{/* Of a pod's spec, given the root. */}}
{{- define "soundquarry.podBasics" -}}
enableServiceLinks: false
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . | quote }}
  {{- end }}
{{- end }}
securityContext:
  runAsNonRoot: true
  {{- range $who := list "runAsUser" "runAsGroup" "fsGroup" }}
  {{- with index $.Values.podSecurity $who }}
  {{ $who }}: {{ int64 . }}
  {{- end }}
  {{- end }}
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile:
    type: RuntimeDefault
{{- end -}}

{{/* Of a container, given the root. */}}
{{- define "soundquarry.containerBasics" -}}
image: {{ include "soundquarry.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  {{- include "soundquarry.containerSecurity" . | nindent 2 }}
{{- end -}}

{{- define "soundquarry.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{/* Where a pod runs, given its values. */}}
{{- define "soundquarry.scheduling" -}}
{{- with .priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- range $what := list "nodeSelector" "tolerations" "affinity" "topologySpreadConstraints" }}
{{- with index $ $what }}
{{ $what }}: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- end -}}

{{/*
A head or a worker, given (dict "root" $ "name" NAME "component" head|worker "values" VALUES): a pod template.
KubeRay adds Ray's command, probes and token to it, and the init container that waits for the head.
*/}}
{{- define "soundquarry.rayPod" -}}
{{- $root := .root -}}
{{- $head := eq .component "head" -}}
{{- $scales := and $head $root.Values.autoscaling.enabled -}}
metadata:
  labels:
    {{- include "soundquarry.podLabels" (dict "root" $root "component" .component "more" .values.labels) | nindent 4 }}
    {{- if and $head (eq $root.Values.schedule.kind "RayCronJob") }}
    {{- /* KubeRay gives the runs of a RayCronJob no labels of ours: `soundquarry jobs` knows them by their head. */}}
    soundquarry.dev/workflow: {{ $root.Values.job.workflow }}
    soundquarry.dev/job: {{ include "soundquarry.jobHash" $root | quote }}
    {{- end }}
  {{- with .values.annotations }}
  annotations: {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  serviceAccountName: {{ include "soundquarry.serviceAccountName" $root | quote }}
  {{- /* With autoscaling KubeRay binds its own role to this account: reading and patching pods, patching the RayCluster. */}}
  automountServiceAccountToken: {{ $scales }}
  {{- include "soundquarry.podBasics" $root | nindent 2 }}
  {{- with include "soundquarry.scheduling" .values | trim }}
  {{- . | nindent 2 }}
  {{- end }}
  {{- if $head }}
  terminationGracePeriodSeconds: {{ int64 .values.terminationGracePeriodSeconds }}
  {{- end }}
  containers:
    - name: {{ .name }}
      {{- include "soundquarry.containerBasics" $root | nindent 6 }}
      {{- if $head }}
      lifecycle:
        preStop:
          exec:
            command:
              - /bin/sh
              - -c
              - |
                {{- $root.Files.Get "scripts/end-run.sh" | trim | nindent 16 }}
      {{- end }}
      resources: {{- include "soundquarry.rayResources" .values | nindent 8 }}
      {{- if $head }}
      ports:
        - {name: gcs-server, containerPort: 6379}
        - {name: dashboard, containerPort: 8265}
        - {name: metrics, containerPort: 8080}
        {{- with $root.Values.monitoring.metricsPort }}
        - {name: driver-metrics, containerPort: {{ int . }}}
        {{- end }}
      {{- end }}
      env: {{- include "soundquarry.rayEnv" (dict "root" $root "head" $head) | nindent 8 }}
      {{- with $root.Values.envFrom }}
      envFrom: {{- toYaml . | nindent 8 }}
      {{- end }}
      volumeMounts: {{- include "soundquarry.rayVolumeMounts" $root | nindent 8 }}
  volumes:
    {{- $memory := .values.resources.limits.memory }}
    {{- include "soundquarry.rayVolumes" (dict "root" $root "head" $head "memory" $memory) | nindent 4 }}
{{- end -}}

{{/* Requests and limits of a head or worker, its GPUs among the limits. */}}
{{- define "soundquarry.rayResources" -}}
{{- $resources := deepCopy .resources -}}
{{- with .gpus -}}
{{- $_ := set $resources.limits "nvidia.com/gpu" (int .) -}}
{{- end -}}
{{- toYaml $resources -}}
{{- end -}}

{{- define "soundquarry.rayEnv" -}}
{{- $root := .root -}}
{{- with $root.Values -}}
- {name: RAY_AUTH_MODE, value: {{ .ray.auth }}}
{{- if eq .models.kind "existingClaim" }}
- {name: SOUNDQUARRY_MODELS, value: {{ .models.path | quote }}}
{{- end }}
{{- if eq .scratch.kind "existingClaim" }}
- {name: SOUNDQUARRY_SCRATCH, value: /scratch}
{{- end }}
{{- if $.head }}
{{- with .monitoring.metricsPort }}
- {name: SOUNDQUARRY_METRICS_PORT, value: {{ int . | quote }}}
{{- end }}
{{- with .monitoring.pushgateway.url }}
- {name: SOUNDQUARRY_PUSHGATEWAY, value: {{ . | quote }}}
{{- end }}
- {name: SOUNDQUARRY_METRICS_JOB, value: {{ include "soundquarry.fullname" $root }}}
{{- if .autoscaling.enabled }}
{{- $most := include "soundquarry.clusterMaximum" .workers | fromJson }}
- {name: SOUNDQUARRY_MAX_CPUS, value: {{ int $most.cpus | quote }}}
- {name: SOUNDQUARRY_MAX_GPUS, value: {{ int $most.gpus | quote }}}
- {name: SOUNDQUARRY_NODE_CPUS, value: {{ int $most.nodeCpus | quote }}}
{{- end }}
{{- end }}
{{- range $name, $value := .ray.env }}
- {name: {{ $name }}, value: {{ $value | quote }}}
{{- end }}
{{- with .env }}
{{ toYaml . }}
{{- end }}
{{- end }}
{{- end -}}

{{/*
Cores and GPUs of all workers once there are as many as autoscaling may add, and cores of the smallest of them, given their
values: Ray does not tell the driver. Ray counts a core that is asked for in part as a whole one.
*/}}
{{- define "soundquarry.clusterMaximum" -}}
{{- $cpus := 0 -}}
{{- $gpus := 0 -}}
{{- $node := 0 -}}
{{- range . -}}
{{- if .enabled -}}
{{- $asked := default (default dict .resources.requests).cpu .resources.limits.cpu | toString -}}
{{- $cores := hasSuffix "m" $asked | ternary (divf (trimSuffix "m" $asked) 1000) (float64 $asked) | ceil | int -}}
{{- $cpus = add $cpus (mul .maxReplicas $cores) -}}
{{- $gpus = add $gpus (mul .maxReplicas (default 0 .gpus)) -}}
{{- $node = eq $node 0 | ternary $cores (min $node $cores) -}}
{{- end -}}
{{- end -}}
{{- dict "cpus" $cpus "gpus" $gpus "nodeCpus" $node | toJson -}}
{{- end -}}

{{- define "soundquarry.rayVolumeMounts" -}}
{{- with .Values -}}
- {name: job, mountPath: /etc/soundquarry, readOnly: true}
- {name: tmp, mountPath: /tmp}
- {name: shared-memory, mountPath: /dev/shm}
{{- if eq .models.kind "existingClaim" }}
- {name: models, mountPath: {{ .models.path | quote }}, readOnly: true}
{{- end }}
{{- if eq .scratch.kind "existingClaim" }}
- {name: scratch, mountPath: /scratch}
{{- end }}
{{- with .volumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end }}
{{- end -}}

{{/*
Given (dict "root" $ "head" BOOLEAN "memory" LIMIT). Ray keeps its objects in /dev/shm, 30 % of the memory by default; pages there count
as the pod's memory, so a larger /dev/shm than the limit has no use, and a smaller one sends Ray to the disk.
*/}}
{{- define "soundquarry.rayVolumes" -}}
{{- $root := .root -}}
{{- with $root.Values -}}
- name: job
  configMap:
    name: {{ include "soundquarry.fullname" $root }}-job
- name: tmp
  {{- if and (eq .scratch.kind "ephemeral") (not $.head) }}
  ephemeral:
    volumeClaimTemplate:
      spec:
        accessModes: [ReadWriteOnce]
        {{- with .scratch.storageClass }}
        storageClassName: {{ . | quote }}
        {{- end }}
        resources:
          requests:
            storage: {{ .scratch.size }}
  {{- else }}
  emptyDir:
    sizeLimit: {{ .scratch.size }}
  {{- end }}
- name: shared-memory
  emptyDir:
    medium: Memory
    sizeLimit: {{ $.memory }}
{{- if eq .models.kind "existingClaim" }}
- name: models
  persistentVolumeClaim:
    claimName: {{ .models.claim | quote }}
    readOnly: true
{{- end }}
{{- if eq .scratch.kind "existingClaim" }}
- name: scratch
  persistentVolumeClaim:
    claimName: {{ .scratch.claim | quote }}
{{- end }}
{{- with .volumes }}
{{ toYaml . }}
{{- end }}
{{- end }}
{{- end -}}
